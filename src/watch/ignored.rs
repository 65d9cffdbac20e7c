//! In: a path below a watched directory. Out: whether editors and version control made it for themselves.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

/// Whether a change of this path (relative, `/` between components) never means anything: `.git`, editors' swap, backup and
/// probe files (docker compose watches none of them either).
pub fn is_noise(path: &str) -> bool {
    if path.split('/').any(|part| part == ".git") {
        return true;
    }
    let name = path.rsplit('/').next().unwrap_or(path);
    let swap = ["swp", "swx", "swo", "swn", "kate-swp"];
    name == "4913"
        || name.ends_with('~')
        || name.contains("___jb_tmp___")
        || name.contains("___jb_old___")
        || name.ends_with("-go-tmp-umask")
        || name.starts_with(".#")
        || (name.starts_with('#') && name.ends_with('#'))
        || (name.starts_with('.') && name.rsplit_once('.').is_some_and(|(_, end)| swap.contains(&end)))
        || path.starts_with(".idea/")
        || path.contains("/.idea/")
}

#[cfg(test)]
mod tests {
    use super::is_noise;

    #[test]
    fn editors_leave_traces_that_mean_nothing() {
        for path in [
            ".git/index",
            "a/.git/HEAD",
            "src/4913",
            "a~",
            ".a.swp",
            "d/#a#",
            ".#a",
            "x___jb_tmp___",
            ".idea/w.xml",
            ".b.kate-swp",
        ] {
            assert!(is_noise(path), "{path}");
        }
        for path in ["a.txt", ".env", "swp", "git/x", "a.swp", ".gitignore", "#a"] {
            assert!(!is_noise(path), "{path}");
        }
    }
}
