//! What is wrong with a table or a column, in Chinese. Stores say it in English, which is one text for logs and for
//! `worker check`; it is read back by its message where a page is in Chinese. What a server says stays as it is.

use crate::messages::{Message, message};

/// `key: table: problem; remedy`, one line for each fault.
pub const FAULT: Message = message(
    "{key}: table `{table}`: {problem:problem}; {remedy:remedy}",
    "{key}：表 `{table}`：{problem}；{remedy}",
);

pub const PROBLEMS: [Message; 23] = [
    message(
        "no such table in database `{database}`",
        "数据库 `{database}` 中没有此表",
    ),
    message("there is no such table", "没有此表"),
    message("no column `{name}`", "没有列 `{name}`"),
    message("result columns are missing: {names}", "缺少结果列：{names}"),
    message(
        "lightweight UPDATE is not turned on: {settings}",
        "未启用轻量 UPDATE：{settings}",
    ),
    message(
        "engine {engine} has no lightweight UPDATE",
        "引擎 {engine} 不支持轻量 UPDATE",
    ),
    message(
        "engine {engine} merges a row's verdict into later rows with its key",
        "引擎 {engine} 会把判定合并到同键的后续行",
    ),
    message(
        "column `{name}` is {type}: a key cannot be NULL",
        "列 `{name}` 为 {type}：键列不能为 NULL",
    ),
    message(
        "column `{name}` is {type}: an ALIAS column cannot identify a weld",
        "列 `{name}` 为 {type}：ALIAS 列不能标识焊点",
    ),
    message(
        "column `{name}` is {type}: a result is NULL until, and unless, there is one",
        "列 `{name}` 为 {type}：没有结果时须为 NULL",
    ),
    message(
        "column `{name}` is {type}: it is part of the table's key, which UPDATE cannot change",
        "列 `{name}` 为 {type}：属于表的键，UPDATE 无法更改",
    ),
    message(
        "column `{name}` is {type}: it is {kind}, which UPDATE cannot change",
        "列 `{name}` 为 {type}：属于 {kind}，UPDATE 无法更改",
    ),
    message(
        "column `{name}` is {type}: expected a number, or text",
        "列 `{name}` 为 {type}：应为数字或文本",
    ),
    message(
        "column `{name}` is {type}: expected {expected}",
        "列 `{name}` 为 {type}：应为 {expected}",
    ),
    message(
        "column `{name}` is {type}: it holds {characters} characters, not {needed}",
        "列 `{name}` 为 {type}：只能保存 {characters} 个字符，需要 {needed} 个",
    ),
    message(
        "column `{name}` is {type}, expected {expected}",
        "列 `{name}` 为 {type}，应为 {expected}",
    ),
    message(
        "column `{name}` is {type} and takes no NULL, but a text of the plant's may be no time",
        "列 `{name}` 为 {type} 且不允许 NULL，而现场的文本可能不是时间",
    ),
    message(
        "`{filter}` depends on the result column {names}: a row would leave the fleet once it has a verdict, or never reach MySQL",
        "`{filter}` 依赖结果列 {names}：行在有判定后会脱离本系统，或永远到不了 MySQL",
    ),
    message(
        "column `{name}` is generated, so nothing can be written into it",
        "列 `{name}` 是生成列，无法写入",
    ),
    message(
        "column `{name}` takes no NULL and has no default, so no row can be added",
        "列 `{name}` 不允许 NULL 且没有默认值，无法添加行",
    ),
    message(
        "no unique key over ({names}), so a weld could be there twice",
        "缺少唯一键 ({names})，同一焊点可能重复",
    ),
    message(
        "lacks {names}, by which the fleet knows the rows that it made",
        "缺少 {names}，无法识别本系统写入的行",
    ),
    message(
        "unique key over ({names}) is narrower than a weld's key",
        "唯一键 ({names}) 比焊点的键窄",
    ),
];

pub const REMEDIES: [Message; 28] = [
    message(
        "a table of the fleet's own is missing or lacks a column: `scheduler migrate` creates and completes it",
        "本系统自己的表缺失或缺少列：`scheduler migrate` 会创建并补全",
    ),
    message(
        "a table or a column is not what it was: put the plant's back or map it under [columns]; `scheduler migrate` brings the fleet's own back",
        "某个表或列已改变：现场的请恢复或在 [columns] 下映射；本系统自己的由 `scheduler migrate` 恢复",
    ),
    message(
        "the mirror's table is missing or lacks a column: restore a dump with the reviews first, if they are lost; then `scheduler migrate` creates and completes it",
        "镜像表缺失或缺少列：若复核记录丢失，请先恢复含复核的备份；然后 `scheduler migrate` 会创建并补全",
    ),
    message("run `scheduler migrate`", "请运行 `scheduler migrate`"),
    message(
        "name the plant's table, run `scheduler migrate` to make one, or GRANT SELECT on it: an account sees only what it may read",
        "请填写现场的表名，或用 `scheduler migrate` 建表，或授予 SELECT 权限：账号只能看到有权读取的表",
    ),
    message(
        "map it to the plant's name; the table has: {names}",
        "请映射到现场的列名；表中有：{names}",
    ),
    message(
        "map it to a column that is there, or remove the line; there are: {names}",
        "请映射到已有的列，或删除该行配置；现有：{names}",
    ),
    message(
        "map another column, or add one of that type computed from it",
        "请映射其他列，或添加由它计算的该类型的列",
    ),
    message(
        "map another column, or remove the line",
        "请映射其他列，或删除该行配置",
    ),
    message(
        "map it to another column, or remove the line",
        "请映射到其他列，或删除该行配置",
    ),
    message(
        "let it be NULL, map another column, or remove the line and give it a value in [mysql.constants]",
        "请让该列允许 NULL，或映射其他列，或删除该行配置并在 [mysql.constants] 中给出一个值",
    ),
    message(
        "leave that condition out; which rows have a verdict the fleet knows by itself",
        "请去掉该条件；哪些行已有判定，本系统自己知道",
    ),
    message("map the stored column", "请映射实际存储的列"),
    message(
        "map `{name}` to a new name; `scheduler migrate` adds the column",
        "请将 `{name}` 映射到新的列名；`scheduler migrate` 会添加该列",
    ),
    message(
        "make it nullable: {sql}, or map `{name}` to a new name",
        "请改为可为 NULL：{sql}，或将 `{name}` 映射到新的列名",
    ),
    message("make it non-nullable: {sql}", "请改为非空：{sql}"),
    message(
        "name a MergeTree or ReplacingMergeTree table, replicated or not (for a view the table below it, for a \
         Distributed table the table below it on one shard and a fleet for each shard), or copy the rows into one",
        "请使用 MergeTree 或 ReplacingMergeTree 表，可带复制（视图请用其底层表；Distributed 表请用某一分片上的底层表，每个分片一套系统），或把数据复制到这样的表",
    ),
    message(
        "give a condition over the plant's columns, such as {example}",
        "请填写以现场列名表示的条件，例如 {example}",
    ),
    message(
        "map a column that stays empty until somebody reviews the row, and that holds {needs}; there are: {names}",
        "请映射在复核前保持为空、且能保存复核内容的列（{needs}）；现有：{names}",
    ),
    message(
        "map a column that stays empty until somebody reviews the row; there are: {names}",
        "请映射在复核前保持为空的列；现有：{names}",
    ),
    message(
        "change its type, or name another table",
        "请更改其类型，或使用其他表",
    ),
    message(
        "make it an ordinary column, or name another table",
        "请改为普通列，或使用其他表",
    ),
    // Of ClickHouse's codes, behind what it says itself.
    message(
        "compare the user and the password with the server's account",
        "请核对用户名、密码与服务器账号",
    ),
    message(
        "give the account its grants back: `scheduler migrate --grants` prints all of them",
        "请恢复账号的权限：`scheduler migrate --grants` 会全部列出",
    ),
    message(
        "a table or a column is not what it was: put it back or map it under [columns]; `worker check` names it",
        "表或列已改变：请恢复，或在 [columns] 中映射；`worker check` 会指出",
    ),
    message(
        "let mysql.url lead to the server that takes writes, or make this one the primary",
        "请让 mysql.url 指向可写的服务器，或将该服务器提升为主库",
    ),
    message(
        "let the account change this setting: the statements depend on it",
        "请允许账号更改该设置：所用语句依赖它",
    ),
    message(
        "patch parts of the table are at their limit: {what}",
        "表的补丁 part 已达上限：{what}",
    ),
];
