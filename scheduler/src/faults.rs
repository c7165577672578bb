//! What is wrong with a table, a column or a connection, and why the breaker paused the fleet, in Chinese. It is said in
//! English, which is one text for logs and for `worker check`, and read back by its message where a page is in Chinese.
//! What a server says stays as it is.

use crate::messages::{Message, message};

/// `key: table: problem; remedy`, one line for each fault.
pub const FAULT: Message = message(
    "{key}: table `{table}`: {problem:problem}; {remedy:remedy}",
    "{key}：表 `{table}`：{problem}；{remedy}",
);

/// Why the breaker paused the fleet, and behind the first semicolon what to do.
pub const BREAKER: [Message; 2] = [
    message(
        "breaker: {share} % of the {rows} rows in the last {ranges} ranges are invalid or in error (limit {limit} %); \
         see alg_status and alg_error of the rows, check [curves] and [validation], then \
         `scheduler resume` and `scheduler backfill --status invalid,error`",
        "熔断器：最近 {ranges} 个区间的 {rows} 行中有 {share} % 无效或出错（上限 {limit} %）；\
         先查看 alg_status/alg_error，检查 [curves]、[validation]；\
         修复后 `scheduler resume`，再 `scheduler backfill --status invalid,error`",
    ),
    message(
        "breaker: the last {rows} verdicts are all {verdict} (limit {limit}); check the model, nok_threshold and the rules, \
         then `scheduler resume`",
        "熔断器：最近 {rows} 个判定全都是 {verdict}（上限 {limit} 个）；请检查模型、nok_threshold 和规则，再 `scheduler resume`",
    ),
];

/// What the operating system says of a connection.
pub const CONNECTIONS: [(&str, &str); 4] = [
    ("Connection refused", "连接被拒绝，服务未启动或端口错误"),
    ("timed out", "连接超时"),
    ("Name or service not known", "主机名无法解析"),
    ("Temporary failure in name resolution", "主机名无法解析"),
];

/// Records that MySQL does not take.
pub const REFUSALS: [Message; 2] = [
    message(
        "mysql refuses {rows} records: {named:refused}; and {more} more",
        "MySQL 拒绝 {rows} 条记录：{named}；另有 {more} 条",
    ),
    message(
        "mysql refuses {rows} records: {named:refused}",
        "MySQL 拒绝 {rows} 条记录：{named}",
    ),
];
pub const REFUSAL: Message = message("{id} of {day}: {why}", "{day} 的焊点 {id}：{why}");

/// What a reviewer's column must hold.
pub const NEEDS: [Message; 4] = [
    message(
        "{words} as text or as ENUM, spelt so",
        "{words}（文本或 ENUM，拼写须一致）",
    ),
    message(
        "a name of up to {longest} characters, Chinese ones too",
        "最长 {longest} 个字符的姓名，含中文",
    ),
    message(
        "a date with its time (DATETIME, or a text of {longest} characters)",
        "日期和时间（DATETIME，或 {longest} 个字符的文本）",
    ),
    message(
        "a note of up to {longest} characters, Chinese ones too",
        "最长 {longest} 个字符的备注，含中文",
    ),
];

/// Why a column cannot be a reviewer's.
pub const LACKS: [Message; 7] = [
    message(
        "it is generated, so nothing can be written into it",
        "是生成列，无法写入",
    ),
    message(
        "it has a default, so that every row would look reviewed",
        "有默认值，每一行都会被当作已复核",
    ),
    message(
        "it changes by itself (ON UPDATE), so that a corrected row would look reviewed",
        "会自动更新（ON UPDATE），更正过的行会被当作已复核",
    ),
    message(
        "it takes no NULL and has no default, so that no row can be without a review",
        "不允许 NULL 且没有默认值，无法有未复核的行",
    ),
    message("it lacks {words}", "缺少 {words}"),
    message("that is no text", "不是文本"),
    message("{collation} holds no Chinese", "{collation} 不能保存中文"),
];

pub const PROBLEMS: [Message; 32] = [
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
        "列 `{name}` 为 {type} 且不允许 NULL，而工厂的文本可能不是时间",
    ),
    message(
        "`{filter}` depends on the result column {names}: a row would leave the fleet once it has a verdict, or never reach MySQL",
        "`{filter}` 依赖结果列 {names}：行在有判定后不再归系统处理，或永远到不了 MySQL",
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
        "缺少唯一键（{names}），同一焊点可能重复",
    ),
    message(
        "lacks {names}, by which the fleet knows the rows that it made",
        "缺少 {names}，系统无法识别自己写入的行",
    ),
    message(
        "unique key over ({names}) is narrower than a weld's key",
        "唯一键（{names}）包含的列少于焊点的键",
    ),
    message(
        "column `{name}` has a default, so that every row would look reviewed",
        "列 `{name}` 有默认值，每一行都会被当作已复核",
    ),
    message(
        "column `{name}` changes by itself (ON UPDATE), so that a corrected row would look reviewed",
        "列 `{name}` 会自动更新（ON UPDATE），更正过的行会被当作已复核",
    ),
    message(
        "column `{name}` takes no NULL and has no default, so that no row can be without a review",
        "列 `{name}` 不允许 NULL 且没有默认值，无法有未复核的行",
    ),
    message(
        "column `{name}` is not the fleet's, which could not tell its rows from the application's",
        "列 `{name}` 不是系统建立的，无法区分系统的行与应用程序的行",
    ),
    message(
        "column `{name}` is {type}, and a weld's key needs {needed}",
        "列 `{name}` 为 {type}，而焊点的键需要 {needed}",
    ),
    message(
        "column `{name}` is {type}, narrower than {needed}",
        "列 `{name}` 为 {type}，容量小于 {needed}",
    ),
    message(
        "column `{name}` compares by {collation}, for which different keys may be equal",
        "列 `{name}` 按 {collation} 比较，不同的键可能被视为相同",
    ),
    message(
        "column `{name}` is of {collation}, which does not hold every character",
        "列 `{name}` 的字符集为 {collation}，不能保存全部字符",
    ),
    // Behind those that begin like it.
    message(
        "column `{name}` is {type}: {why:lack}",
        "列 `{name}` 为 {type}：{why}",
    ),
];

pub const REMEDIES: [Message; 34] = [
    message(
        "a table of the fleet's own is missing or lacks a column: `scheduler migrate` creates and completes it",
        "系统自己的表缺失或缺少列：`scheduler migrate` 会创建并补全",
    ),
    message(
        "a table or a column is not what it was: put the plant's back or map it under [columns]; `scheduler migrate` brings the fleet's own back",
        "某个表或列已改变：工厂的请恢复或在 [columns] 下映射；系统自己的由 `scheduler migrate` 恢复",
    ),
    message(
        "the mirror's table is missing or lacks a column: restore a dump with the reviews first, if they are lost; then `scheduler migrate` creates and completes it",
        "镜像表缺失或缺少列：若复核记录丢失，请先恢复含复核的备份；然后 `scheduler migrate` 会创建并补全",
    ),
    message("run `scheduler migrate`", "请运行 `scheduler migrate`"),
    message(
        "name the plant's table, run `scheduler migrate` to make one, or GRANT SELECT on it: an account sees only what it may read",
        "请填写工厂的表名，或用 `scheduler migrate` 建表，或授予 SELECT 权限：账号只能看到有权读取的表",
    ),
    message(
        "map it to the plant's name; the table has: {names}",
        "请映射到工厂的列名；表中有：{names}",
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
        "请去掉该条件；哪些行已有判定，系统自己知道",
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
        "请填写以工厂列名表示的条件，例如 {example}",
    ),
    message(
        "map a column that stays empty until somebody reviews the row, and that holds {needs:needs}; there are: {names}",
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
    message(
        "give it a default, map one of ours to it in [mysql.columns], give it a value in [mysql.constants], or name another table",
        "请为该列设默认值，或在 [mysql.columns] 中映射到它，或在 [mysql.constants] 中给出一个值，或使用其他表",
    ),
    message(
        "let it stay NULL until somebody reviews the row",
        "请让该列在复核前保持 NULL",
    ),
    message(
        "drop it: an id of one day is another weld on another day",
        "请删除该键：不同日期的同一编号是不同的焊点",
    ),
    message(
        "name a new column, such as {example}, which `scheduler migrate` adds",
        "请填写一个新的列名，例如 {example}；`scheduler migrate` 会添加该列",
    ),
    message(
        "name the application's, or remove [mysql.columns]: `scheduler migrate` then makes one",
        "请填写应用程序的表名，或删除 [mysql.columns]：`scheduler migrate` 会建表",
    ),
    message(
        "upgrade it to {version} or newer; results cannot be written back atomically without it",
        "请升级到 {version} 或更高版本；否则无法原子地写回结果",
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
