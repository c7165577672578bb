//! Every column that is looked for, and what plants call it.

use weldfleet_words::Words;

use super::listed;
use crate::facts::{SourceColumn, SourceTable};

/// What a column must be to be taken for one of ours.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A key that is never NULL: text or an unsigned number.
    Id,
    Day,
    Time,
    Text,
    /// A number, also as text.
    Number,
    /// An array, or its text.
    Curve,
}

/// What is done where no column is taken for ours.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// It is asked for: a weld cannot be judged without it.
    Needed,
    /// It is asked for, and may be left out: people find a weld by it.
    Asked,
    IfThere,
}

/// One of our columns and what plants call it, the likeliest name first.
pub(super) struct Target {
    pub section: &'static str,
    pub ours: &'static str,
    pub form: Form,
    pub wanted: Wanted,
    pub names: &'static str,
}

const fn input(ours: &'static str, form: Form, names: &'static str) -> Target {
    let wanted = match form {
        Form::Text => Wanted::Asked,
        _ => Wanted::Needed,
    };
    Target {
        section: "columns",
        ours,
        form,
        wanted,
        names,
    }
}

const fn further(
    section: &'static str,
    ours: &'static str,
    form: Form,
    names: &'static str,
) -> Target {
    Target {
        section,
        ours,
        form,
        wanted: Wanted::IfThere,
        names,
    }
}

/// Every column that is looked for. One more is one more line.
pub(super) const TARGETS: &[Target] = &[
    input("record_id", Form::Id, "id weld_id uid uuid recordid 记录号"),
    input("data_date", Form::Day, "dt day weld_date date 日期"),
    input(
        "ck_local_time",
        Form::Time,
        "insert_time create_time created_at weld_time 时间",
    ),
    input(
        "part_no",
        Form::Text,
        "part_all part part_number part_name 零件号 零件编号 件号 零件 车型",
    ),
    input(
        "spot_name",
        Form::Text,
        "spot_tag spot spot_no spot_id weld_spot 焊点号 焊点编号 焊点名称 焊点",
    ),
    further(
        "columns",
        "timer_name",
        Form::Text,
        "serial_no timer timer_no controller controller_no 控制器 焊接控制器 控制器编号",
    ),
    input(
        "umax",
        Form::Number,
        "u_max voltage_max max_voltage 最大电压 电压最大值",
    ),
    input(
        "imax",
        Form::Number,
        "i_max current_max max_current 最大电流 电流最大值",
    ),
    input(
        "u_curve",
        Form::Curve,
        "voltage_curve curve_u u_curves voltage 电压曲线",
    ),
    input(
        "i_curve",
        Form::Curve,
        "current_curve curve_i i_curves current 电流曲线",
    ),
    further(
        "columns.scalars",
        "program",
        Form::Number,
        "prog_no program_no prog 程序号 焊接程序 程序",
    ),
    further(
        "columns.scalars",
        "wear_percent",
        Form::Number,
        "wear electrode_wear 电极磨损 磨损率",
    ),
    further(
        "columns.scalars",
        "tip_dress_count",
        Form::Number,
        "tipdresscounter tip_dress_counter dress_count 修磨次数",
    ),
    further(
        "columns.scalars",
        "energy",
        Form::Number,
        "energie energy_j 能量 焊接能量",
    ),
    further(
        "columns.scalars",
        "force_kn",
        Form::Number,
        "force weld_force 电极力 电极压力 焊接压力",
    ),
    further(
        "columns.carried",
        "body_no",
        Form::Text,
        "rfid vin body body_id body_number 车身号",
    ),
    further(
        "columns.carried",
        "workshop_section",
        Form::Text,
        "section 工段",
    ),
    further("columns.carried", "area", Form::Text, "zone 区域"),
    further(
        "columns.carried",
        "weld_time",
        Form::Text,
        "weldtime 焊接时间",
    ),
];

/// Names that mean one of our columns, likeliest first: ours, then what plants call it.
pub(super) fn names_of(ours: &'static str) -> Vec<&'static str> {
    let known = TARGETS.iter().find(|target| target.ours == ours);
    let mut names = vec![ours];
    names.extend(known.into_iter().flat_map(|target| target.names.split(' ')));
    names
}

/// Whether two names are one, whatever their case and underscores.
pub(super) fn same(a: &str, b: &str) -> bool {
    let plain = |text: &str| text.to_lowercase().replace(['_', '-', ' '], "");
    plain(a) == plain(b)
}

pub(super) fn fits(form: Form, column: &SourceColumn) -> bool {
    let bare = column.bare();
    let is_text = bare == "String" || bare.starts_with("FixedString");
    let is_number = ["Int", "UInt", "Float", "Decimal", "BFloat16"]
        .iter()
        .any(|start| bare.starts_with(start));
    match form {
        Form::Id => !column.is_nullable() && (bare == "String" || bare.starts_with("UInt")),
        Form::Day => {
            !column.is_nullable()
                && ([
                    "String", "UInt32", "UInt64", "Int32", "Int64", "Date", "Date32",
                ]
                .contains(&bare))
        }
        Form::Time => !column.is_nullable() && bare.starts_with("DateTime"),
        Form::Text => !bare.starts_with("Array"),
        Form::Number => is_number || is_text,
        Form::Curve => bare.starts_with("Array(") || bare == "String",
    }
}

/// Names of columns of this form.
pub(super) fn of_kind(table: &SourceTable, form: Form) -> Words {
    let columns = table.columns.iter().filter(|column| fits(form, column));
    first_of(columns.map(|column| column.name.as_str()).collect())
}

/// At most twelve of the names.
pub(super) fn first_of(mut names: Vec<&str>) -> Words {
    if names.is_empty() {
        return Words::new("-", "无");
    }
    if names.len() > 12 {
        names.truncate(12);
        names.push("…");
    }
    listed(&names)
}
