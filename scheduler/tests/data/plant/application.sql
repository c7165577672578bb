CREATE TABLE weld_confirm
(
    nid INT AUTO_INCREMENT PRIMARY KEY,
    workshop_section VARCHAR(32) NOT NULL,
    area VARCHAR(32) NOT NULL,
    workshop_position VARCHAR(32),
    defect_type_alg VARCHAR(64) NOT NULL,
    spot_tag VARCHAR(64) NOT NULL,
    rfid VARCHAR(64) NOT NULL,
    weld_time DATETIME,
    kpi TEXT NOT NULL,
    rec_cause TEXT NOT NULL,
    atlas_info VARCHAR(64) NOT NULL,
    diameter DOUBLE,
    indentation DOUBLE
) DEFAULT CHARSET = utf8mb4
