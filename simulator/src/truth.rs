//! Ground truth: what the simulated weld really is, whatever its curves will look like to a judge.

/// Whether the weld is acceptable: no defect, hence a nugget of at least 4·√t mm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Label {
    Ok,
    Nok,
}

impl Label {
    /// The text stored in the `label` column: `OK` or `NOK`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Label::Ok => "OK",
            Label::Nok => "NOK",
        }
    }
}

/// What went wrong with the weld.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Defect {
    /// Nothing: the weld is OK.
    None,
    /// Molten metal thrown out, one to three times: sudden persistent drops of R.
    Expulsion,
    /// Too little heat (shunted or low current): nugget below 4·√t.
    Undersize,
    /// The sheets stick without a nugget.
    StickWeld,
    /// Mushroomed electrodes: low current density, low R, undersize nugget, shallow indentation.
    WornElectrode,
    /// A gap between the sheets: high contact resistance at first, late and small nugget, deep indentation.
    PoorFitUp,
    /// The current fails for some milliseconds inside the main pulse.
    Interruption,
    /// A dirty or worn cap burns the sheet: a late hill of R, at a spot several times in a row.
    Burn,
}

impl Defect {
    /// Every value, in the order of the `defect` column's dictionary.
    pub const ALL: [Defect; 8] = [
        Defect::None,
        Defect::Expulsion,
        Defect::Undersize,
        Defect::StickWeld,
        Defect::WornElectrode,
        Defect::PoorFitUp,
        Defect::Interruption,
        Defect::Burn,
    ];

    /// The text stored in the `defect` column; `none` for an OK weld.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Defect::None => "none",
            Defect::Expulsion => "expulsion",
            Defect::Undersize => "undersize",
            Defect::StickWeld => "stick_weld",
            Defect::WornElectrode => "worn_electrode",
            Defect::PoorFitUp => "poor_fit_up",
            Defect::Interruption => "interruption",
            Defect::Burn => "burn",
        }
    }

    /// `OK` for [`Defect::None`], else `NOK`.
    #[must_use]
    pub fn label(self) -> Label {
        match self {
            Defect::None => Label::Ok,
            _ => Label::Nok,
        }
    }
}
