-- What people and the fleet itself did: who, when, what, why, on what. Rows are only added.
CREATE TABLE {weld_events}
(
    at DateTime64(3) DEFAULT now64(3),
    who String COMMENT 'user@host of a command, or the id of a scheduler',
    what LowCardinality(String) COMMENT 'the command, as typed: pause, resume, backfill, backfill cancel, jobs drop, settle, …',
    on_what String COMMENT 'fleet, run N, job ID, days FROM..TO, spot NAME …',
    why String COMMENT 'the reason that was given; empty where none was',
    detail String COMMENT 'what it did, in words'
)
ENGINE = MergeTree
ORDER BY at
