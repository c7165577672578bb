//! The README's example is the example that compiles.

#[test]
fn the_readme_shows_the_example_as_it_is() {
    let (readme, example) = (
        include_str!("../README.md"),
        include_str!("../examples/mail.rs"),
    );
    assert!(
        readme.contains(example),
        "README.md and examples/mail.rs differ: copy the example into the README"
    );
}
