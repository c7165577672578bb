-- One a line: name and type. Added to an existing table where missing. {text} compares by bytes, blanks included.
-- {mirrored_columns}: what describes a weld and its verdict.
data_date INT UNSIGNED NOT NULL COMMENT 'day, YYYYMMDD'
ck_ticks BIGINT NOT NULL COMMENT 'ck_local_time as ClickHouse stores it'
ck_local_time VARCHAR(40) {text} NOT NULL COMMENT 'as ClickHouse prints it'
record_id VARCHAR(512) {text} NOT NULL
{mirrored_columns}
review_result VARCHAR(64) {text} NULL COMMENT 'the reviewer''s'
reviewed_by VARCHAR(255) {text} NULL COMMENT 'the reviewer''s'
reviewed_at DATETIME NULL COMMENT 'the reviewer''s'
review_note TEXT {text} NULL COMMENT 'the reviewer''s'
