use std::io::Read;

use flate2::read::GzDecoder;
use weldfleet_weld::Status;

use super::*;
use crate::{
    Class, Day,
    clickhouse::{
        arena::Arena,
        arrived::{Arrived, Ids},
        native::Texts,
    },
};

fn block(ids: &[&str]) -> RowBlock {
    let texts = |values: &[&str]| {
        let mut texts = Texts::default();
        for value in values {
            texts.push(value.as_bytes());
        }
        texts
    };
    let rows = ids.len();
    let arrived = Arrived {
        hashes: (0..rows as u64).collect(),
        wanted: vec![1; rows],
        ticks: vec![7; rows],
        ids: Ids::Texts(texts(ids)),
        times: texts(&vec!["2026-11-22 00:00:00.007"; rows]),
        part_no: texts(&vec!["P,1\"焊"; rows]),
        spot_name: texts(&vec![""; rows]),
        timer_name: texts(&vec!["T"; rows]),
        umax: vec![1.1; rows],
        imax: vec![f32::NAN; rows],
        curves: Arena {
            u_ends: vec![0; rows],
            u_values: Vec::new(),
            i_ends: vec![0; rows],
            i_values: Vec::new(),
        },
        unreadable: Default::default(),
        further: Default::default(),
    };
    RowBlock::new(Day::new(20_261_122).unwrap(), arrived).unwrap()
}

fn verdicts(rows: usize) -> Vec<Verdict> {
    vec![Verdict::unjudged(Status::Invalid, "too_short: \"3\" points\nonly"); rows]
}

fn file<'a>(folder: &'a Path, worker: &'a str) -> AuditFile<'a> {
    AuditFile {
        save_dir: folder,
        job: "20261122-0-7-abcd",
        token: 42,
        run: 0,
        worker,
    }
}

fn lines(path: &Path) -> Vec<csv::StringRecord> {
    let mut text = String::new();
    GzDecoder::new(File::open(path).unwrap())
        .read_to_string(&mut text)
        .unwrap();
    csv::ReaderBuilder::new()
        .has_headers(false)
        .from_reader(text.as_bytes())
        .records()
        .map(Result::unwrap)
        .collect()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn holds_every_row_under_our_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(
        &file(folder.path(), "w1"),
        &block(&["b", "a "]),
        &verdicts(2),
    )
    .unwrap()
    .unwrap();
    assert_eq!(
        path,
        folder.path().join("20261122/20261122-0-7-abcd-42.csv.gz")
    );
    let lines = lines(&path);
    assert_eq!(lines.len(), 3);
    let header = header(block(&[]).further()).join(",");
    assert_eq!(lines[0].iter().collect::<Vec<_>>().join(","), header);
    let row: Vec<&str> = lines[1].iter().collect();
    assert_eq!(row.len(), lines[0].len());
    assert_eq!(
        row[..10],
        [
            "20261122",
            "2026-11-22 00:00:00.007",
            "a ",
            "P,1\"焊",
            "",
            "T",
            "1.1",
            "NaN",
            "invalid",
            "too_short: \"3\" points\nonly"
        ]
    );
    assert_eq!(row[22..], ["0", "42", "20261122-0-7-abcd"]);
    assert_eq!(names(&folder.path().join("20261122")).len(), 1);
}

#[test]
fn is_never_replaced_and_absent_for_no_rows() {
    let folder = tempfile::tempdir().unwrap();
    let file = file(folder.path(), "w1");
    assert_eq!(write(&file, &block(&[]), &[]).unwrap(), None);
    assert_eq!(names(folder.path()), Vec::<String>::new());
    let path = write(&file, &block(&["a"]), &verdicts(1)).unwrap().unwrap();
    write(&file, &block(&["a", "b", "c"]), &verdicts(3)).unwrap();
    assert_eq!(lines(&path).len(), 2);
}

#[test]
fn a_failure_leaves_nothing_and_names_the_file() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("20261122"), "in the way").unwrap();
    let error = write(&file(folder.path(), "w1"), &block(&["a"]), &verdicts(1)).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("make a folder for audit files: "),
        "{error}"
    );
}

#[test]
fn a_folder_that_cannot_be_written_is_the_workers_failure_and_says_how_much_was_to_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let (plain, loops, nowhere) = (
        folder.path().join("file"),
        folder.path().join("loop"),
        folder.path().join("dangling"),
    );
    fs::write(&plain, "in the way").unwrap();
    std::os::unix::fs::symlink(&loops, &loops).unwrap();
    std::os::unix::fs::symlink(folder.path().join("none"), &nowhere).unwrap();
    let long = folder.path().join("x".repeat(300));
    // The last two: a file system that takes no files, and a device that is always full.
    for place in [&plain, &loops, &nowhere, &long, Path::new("/proc/self")] {
        let written = write(&file(place, "w1"), &block(&["a"]), &verdicts(1)).unwrap_err();
        let probed = probe(place, 1).unwrap_err();
        for error in [written, probed] {
            assert!(
                matches!(error.class(), Class::Refused | Class::Outage),
                "{}",
                error.chain()
            );
            assert!(error.chain().contains(place.to_str().unwrap()));
        }
    }
    assert!(write_durably(Path::new("/dev/full"), &noise(1)).is_err());
}

#[test]
fn probes_do_not_meet_and_leave_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (outer, inner) = (
        folder.path().join("csv"),
        folder.path().join("csv/20261122"),
    );
    std::thread::scope(|threads| {
        for _ in 0..64 {
            threads.spawn(|| {
                probe(&outer, 1).unwrap();
                probe(&inner, 300_000).unwrap();
                sweep_leftovers(&outer, |_| false).unwrap();
            });
        }
    });
    assert_eq!(names(&outer), ["20261122"]);
    assert_eq!(names(&inner), Vec::<String>::new());
    let noise = noise(300_001);
    assert_eq!(noise.len(), 300_001);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), Compression::best());
    packed.write_all(&noise).unwrap();
    assert!(packed.finish().unwrap().len() > 290_000, "it can be packed");
}

#[test]
fn leftovers_of_the_dead_go_and_the_livings_stay() {
    let folder = tempfile::tempdir().unwrap();
    let day = folder.path().join("20261122");
    fs::create_dir(&day).unwrap();
    for name in [
        "a-1.csv.gz",
        "a-2.csv.gz.part-dead",
        "a-3.csv.gz.part-alive",
        "notes.txt",
    ] {
        fs::write(day.join(name), "x").unwrap();
    }
    let alive = |worker: &str| worker == "alive";
    assert_eq!(sweep_leftovers(folder.path(), alive).unwrap(), 1);
    assert_eq!(
        names(&day),
        ["a-1.csv.gz", "a-3.csv.gz.part-alive", "notes.txt"]
    );
    assert_eq!(sweep_leftovers(folder.path(), alive).unwrap(), 0);
    assert_eq!(
        sweep_leftovers(&folder.path().join("none"), alive).unwrap(),
        0
    );
}

#[test]
fn a_number_reads_back_as_what_it_was() {
    for value in [
        0.0,
        1.0,
        -1.35,
        0.1,
        1e-7,
        9.999_999e-1,
        1.6e7,
        f32::MAX,
        f32::MIN_POSITIVE,
        f32::INFINITY,
        f32::NAN,
    ] {
        let mut text = String::new();
        number(&mut text, Some(value));
        let read: f32 = text.strip_prefix(',').unwrap().parse().unwrap();
        assert!(
            read == value || read.is_nan() && value.is_nan(),
            "{value} became {text}"
        );
    }
    let mut none = String::new();
    number(&mut none, None);
    assert_eq!(none, ",");
}

#[test]
fn a_jobs_id_leads_nowhere_else() {
    for id in ["20261122-0-7-abcd", "a", "A.b_c-9", &"x".repeat(100)] {
        assert!(is_name(id), "{id}");
    }
    for id in [
        "",
        ".",
        "..",
        ".hidden",
        "../x",
        "a/b",
        "a\\b",
        "a b",
        "a\0",
        "焊",
        &"x".repeat(101),
    ] {
        assert!(!is_name(id), "{id:?}");
    }
}
