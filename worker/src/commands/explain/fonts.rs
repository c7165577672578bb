//! The picture's letters: a font that is built in, and one of this machine where a plant's names need more than it has.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use anyhow::anyhow;
use plotters::style::{FontStyle, register_font};

/// Where fonts lie.
const FOLDERS: [&str; 3] = [
    "/usr/share/fonts",
    "/usr/local/share/fonts",
    "/Library/Fonts",
];
/// In what files of fonts with Chinese letters are called, in the order in which they are taken.
const WITH_CHINESE: [&str; 8] = [
    "notosanscjk",
    "notosanssc",
    "sourcehansans",
    "wqy-microhei",
    "wqy-zenhei",
    "droidsansfallback",
    "simhei",
    "msyh",
];
/// Folders in folders that are looked through.
const DEPTH: usize = 5;
/// The built-in font has Latin, Greek and Cyrillic letters.
const BUILT_IN_ENDS: char = '\u{0530}';

/// Makes `name` a font that has the letters of these texts, if there is one here. Answers whether there is.
///
/// # Errors
/// If not even the font that is built in can be used.
pub fn install(name: &str, texts: [&str; 3]) -> anyhow::Result<bool> {
    let mut letters = texts.iter().flat_map(|text| text.chars());
    let needs_more = letters.any(|letter| letter >= BUILT_IN_ENDS && letter.is_alphanumeric());
    static HAS_CHINESE: OnceLock<()> = OnceLock::new();
    if HAS_CHINESE.get().is_some() {
        return Ok(true);
    }
    if needs_more {
        let mut files = Vec::new();
        for folder in FOLDERS {
            collect(Path::new(folder), DEPTH, &mut files);
        }
        files.sort();
        if files.iter().any(|(_, file)| register(name, file)) {
            // Its content is kept as long as the program runs, so once is enough.
            HAS_CHINESE.get_or_init(|| ());
            return Ok(true);
        }
    }
    let built_in = epaint_default_fonts::UBUNTU_LIGHT;
    match register_font(name, FontStyle::Normal, built_in) {
        Ok(()) => Ok(!needs_more),
        Err(_) => Err(anyhow!("cannot load the built-in font")),
    }
}

/// Files of fonts that are known to have Chinese letters, each with its place in the order.
fn collect(folder: &Path, depth: usize, found: &mut Vec<(usize, PathBuf)>) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()) {
        if path.is_dir() {
            if depth > 0 {
                collect(&path, depth - 1, found);
            }
            continue;
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = name.to_lowercase();
        let place = WITH_CHINESE
            .iter()
            .position(|known| name.starts_with(known));
        let is_regular =
            !name.contains("bold") && !name.contains("black") && !name.contains("light");
        if let Some(place) = place.filter(|_| is_regular) {
            found.push((place, path));
        }
    }
}

fn register(name: &str, file: &Path) -> bool {
    let Ok(bytes) = fs::read(file) else {
        return false;
    };
    register_font(name, FontStyle::Normal, bytes.leak()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_font_with_chinese_letters_is_found_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("truetype/wqy");
        fs::create_dir_all(&deep).unwrap();
        for name in ["wqy-microhei.ttc", "NotoSansCJK-Bold.ttc", "DejaVuSans.ttf"] {
            fs::write(deep.join(name), "").unwrap();
        }
        fs::write(folder.path().join("NotoSansCJK-Regular.ttc"), "").unwrap();
        let mut found = Vec::new();
        collect(folder.path(), DEPTH, &mut found);
        found.sort();
        let names: Vec<_> = found
            .iter()
            .map(|(_, path)| path.file_name().unwrap())
            .collect();
        assert_eq!(names, ["NotoSansCJK-Regular.ttc", "wqy-microhei.ttc"]);
        assert!(!register("x", &found[0].1), "an empty file is no font");
    }
}
