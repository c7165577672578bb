//! The audit file of an attempt: every weld it judged, complete or absent.
//!
//! Written under a name that carries its writer, made durable, then renamed: a reader never sees half
//! a file, and what a dead writer left behind can be told from what a live one is writing. An attempt's
//! file is never replaced. The line whose `alg_token` is the row's `alg_token` in ClickHouse counts.

use std::{
    fmt::Write as _,
    fs::{self, File},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

use flate2::{Compression, GzBuilder};
use uuid::Uuid;
use weldfleet_weld::{
    Verdict,
    columns::{AttemptField, Cell, Origin, RESULT_COLUMNS},
};

use crate::{
    clickhouse::{FurtherNames, RowBlock},
    errors::StoreError,
};

/// Columns, in order: what names a weld, what the plant adds to that, then its result columns; our names whatever the
/// plant calls them.
fn header(further: &FurtherNames) -> Vec<&str> {
    let mut names = vec![
        "data_date",
        "ck_local_time",
        "record_id",
        "part_no",
        "spot_name",
        "timer_name",
        "umax",
        "imax",
    ];
    let further = further.carried.iter().chain(&further.scalars);
    names.extend(further.map(String::as_str));
    let results = RESULT_COLUMNS
        .iter()
        .filter(|column| !matches!(column.origin, Origin::Commit));
    names.extend(results.map(|column| column.name));
    names
}

/// What a temporary name holds between the file's name and its writer's.
const UNFINISHED: &str = ".csv.gz.part-";

/// Whose file it is.
#[derive(Debug, Clone, Copy)]
pub struct AuditFile<'a> {
    /// Folder of all audit files.
    pub save_dir: &'a Path,
    /// Job id, for which [`is_name`] holds.
    pub job: &'a str,
    /// Fencing token of the attempt.
    pub token: u64,
    /// Run of the job.
    pub run: u64,
    /// Id of the writing process, unique; told to [`sweep_leftovers`].
    pub worker: &'a str,
}

impl AuditFile<'_> {
    /// `save_dir/YYYYMMDD/<job id>-<token>.csv.gz`.
    pub fn path(&self, day: crate::Day) -> PathBuf {
        self.save_dir
            .join(day.to_string())
            .join(format!("{}-{}.csv.gz", self.job, self.token))
    }
}

/// Characters of a job's id: token and writer stand beside it, and a file's name has 255 bytes at most.
const LONGEST_ID: usize = 100;

/// Whether a job's id can be part of a file's name: it comes from Redis, and must lead nowhere else.
pub fn is_name(id: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=LONGEST_ID).contains(&id.len()) && !id.starts_with('.') && id.bytes().all(is_plain)
}

/// Writes the file and returns its path; `None`, and no file, for zero rows. Blocking.
///
/// `verdicts[k]` is of row `k`. A file that is there already is left as it is: it is this attempt's.
pub fn write(
    file: &AuditFile<'_>,
    block: &RowBlock,
    verdicts: &[Verdict],
) -> Result<Option<PathBuf>, StoreError> {
    if block.is_empty() {
        return Ok(None);
    }
    if block.len() != verdicts.len() {
        return Err(StoreError::answer(
            "write an audit file",
            format!("{} verdicts for {} rows", verdicts.len(), block.len()),
        ));
    }
    if !is_name(file.job) {
        let why = format!("job {:?} is no part of a file's name", file.job);
        return Err(StoreError::answer("write an audit file", why));
    }
    let path = file.path(block.day());
    let folder = path.parent().unwrap_or(file.save_dir);
    make_folder(folder)?;
    if path.exists() {
        return Ok(Some(path));
    }
    let unfinished = folder.join(format!(
        "{}-{}{UNFINISHED}{}",
        file.job, file.token, file.worker
    ));
    // Some 60 bytes a row, beside thousands of curves: packed first, so that whoever cannot write it knows how much it
    // is.
    let packed = packed(file, block, verdicts).map_err(StoreError::file(
        "pack an audit file",
        &unfinished,
        0,
    ))?;
    let bytes = packed.len() as u64;
    write_durably(&unfinished, &packed)
        .inspect_err(|_| _ = fs::remove_file(&unfinished))
        .map_err(StoreError::file("write an audit file", &unfinished, bytes))?;
    // No other attempt has this token, hence this name.
    fs::rename(&unfinished, &path).map_err(StoreError::file("name an audit file", &path, bytes))?;
    sync_folder(folder)?;
    Ok(Some(path))
}

fn write_durably(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut out = File::create(path)?;
    out.write_all(bytes)?;
    out.sync_all()
}

fn packed(
    file: &AuditFile<'_>,
    block: &RowBlock,
    verdicts: &[Verdict],
) -> std::io::Result<Vec<u8>> {
    // No time in the header: the same rows make the same bytes.
    let mut gzip = GzBuilder::new()
        .mtime(0)
        .write(Vec::new(), Compression::fast());
    let mut text = String::with_capacity(2 * TEXT_BYTES);
    let further = block.further();
    text.push_str(&header(further).join(","));
    text.push('\n');
    let day = block.day().to_string();
    let (run, token) = (file.run.to_string(), file.token.to_string());
    for (row, verdict) in verdicts.iter().enumerate() {
        text.push_str(&day);
        field(&mut text, block.time_text(row));
        match block.id(row) {
            crate::IdRef::Text(id) => field(&mut text, id),
            crate::IdRef::Number(id) => {
                let _ = write!(text, ",{id}"); // writing to a String cannot fail
            }
        }
        field(&mut text, block.part_no(row));
        field(&mut text, block.spot_name(row));
        field(&mut text, block.timer_name(row));
        for maximum in block.maxima(row) {
            number(&mut text, maximum);
        }
        for place in 0..further.carried.len() {
            field(&mut text, block.carried(row, place));
        }
        for scalar in block.scalars(row) {
            number(&mut text, Some(*scalar).filter(|scalar| !scalar.is_nan()));
        }
        for column in RESULT_COLUMNS {
            match column.origin {
                Origin::Commit => {}
                Origin::Attempt(AttemptField::Run) => field(&mut text, &run),
                Origin::Attempt(AttemptField::Token) => field(&mut text, &token),
                Origin::Attempt(AttemptField::Job) => field(&mut text, file.job),
                Origin::Verdict(read) => match read(verdict) {
                    Cell::Float(value) => number(&mut text, value),
                    cell => field(&mut text, &cell.text()),
                },
            }
        }
        text.push('\n');
        if text.len() >= TEXT_BYTES {
            gzip.write_all(text.as_bytes())?;
            text.clear();
        }
    }
    gzip.write_all(text.as_bytes())?;
    gzip.finish()
}

/// Text that is packed at a time.
const TEXT_BYTES: usize = 32 * 1024;

/// Appends a comma and a field: in quotes where it holds a comma, a quote or a line break, as RFC 4180 wants it.
fn field(text: &mut String, value: &str) {
    text.push(',');
    let is_special = |byte| matches!(byte, b',' | b'"' | b'\n' | b'\r');
    if value.bytes().any(is_special) {
        let _ = write!(text, "\"{}\"", value.replace('"', "\"\""));
    } else {
        text.push_str(value);
    }
}

/// Appends a comma and a number, if there is one: the shortest text that reads back as the same `f32`.
fn number(text: &mut String, value: Option<f32>) {
    text.push(',');
    if let Some(value) = value {
        text.push_str(zmij::Buffer::new().format(value));
    }
}

fn make_folder(folder: &Path) -> Result<(), StoreError> {
    if folder.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(folder).map_err(StoreError::file(
        "make a folder for audit files",
        folder,
        0,
    ))?;
    // The folder's own name must be as durable as what is in it.
    folder.parent().map_or(Ok(()), sync_folder)
}

fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    match File::open(folder).and_then(|folder| folder.sync_all()) {
        // Some network file systems have no such thing for folders.
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::InvalidInput | ErrorKind::Unsupported
            ) =>
        {
            Ok(())
        }
        synced => synced.map_err(StoreError::file("make a folder durable", folder, 0)),
    }
}

/// The least that [`probe`] writes: what a small range's file has.
pub const SMALL_FILE: u64 = 64 << 10;

/// Answers whether a file of so many bytes can be written in the folder now, which it makes if need be. Blocking.
///
/// A full disk takes a byte where it does not take an audit file, and a file system that packs takes any number of
/// zeros: so it writes as much as it is asked about, of bytes that cannot be packed, and makes them durable. Its file's
/// name is nobody else's, on whatever host; what a probe that was killed leaves behind is swept like other leftovers.
pub fn probe(folder: &Path, bytes: u64) -> Result<(), StoreError> {
    let path = folder.join(format!(".probe{UNFINISHED}{}", Uuid::new_v4()));
    let bytes = bytes.max(SMALL_FILE);
    let what = "cannot write audit files; give another folder with worker.save_dir";
    let failed = StoreError::file(what, &path, bytes);
    fs::create_dir_all(folder).map_err(&failed)?;
    let written = write_durably(&path, &noise(bytes));
    let removed = match fs::remove_file(&path) {
        // Another worker swept it.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    };
    written.map_err(&failed)?;
    removed.map_err(&failed)?;
    sync_folder(folder)
}

/// Bytes without a pattern (xorshift64).
fn noise(bytes: u64) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let words = (0..bytes.div_ceil(8)).flat_map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.take(bytes as usize).collect()
}

/// Removes temporary files of writers that are not alive; returns how many. Blocking.
/// A folder that is not there has none.
pub fn sweep_leftovers(
    save_dir: &Path,
    is_alive: impl Fn(&str) -> bool,
) -> Result<usize, StoreError> {
    fn failed(path: &Path) -> impl Fn(std::io::Error) -> StoreError {
        StoreError::file("look for leftovers", path, 0)
    }
    let mut removed = 0;
    let days = match fs::read_dir(save_dir) {
        Ok(days) => days,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(failed(save_dir)(error)),
    };
    // A probe's may lie in the folder itself.
    let mut folders = vec![save_dir.to_owned()];
    for day in days {
        let folder = day.map_err(failed(save_dir))?.path();
        if folder.is_dir() {
            folders.push(folder);
        }
    }
    for folder in folders {
        for entry in fs::read_dir(&folder).map_err(failed(&folder))? {
            let path = entry.map_err(failed(&folder))?.path();
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or("");
            let Some((_, worker)) = name.rsplit_once(UNFINISHED) else {
                continue;
            };
            if is_alive(worker) {
                continue;
            }
            match fs::remove_file(&path) {
                Ok(()) => removed += 1,
                // Another worker sweeps too.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(failed(&path)(error)),
            }
        }
    }
    Ok(removed)
}

#[cfg(test)]
mod tests;
