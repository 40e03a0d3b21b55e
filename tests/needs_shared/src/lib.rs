//! For tests that read the folder `shared`: real logs and cases of other systems, which are no part of the
//! repository. The folder is the one that `STAGGER_SHARED` names, or `../shared` beside the repository, when the
//! tests are built (`build.rs`).

use proc_macro::TokenStream;

/// Ignores a test where the folder is absent, so that cargo says so. It stands above `#[test]`, which looks for
/// `#[ignore]` when it is expanded.
#[proc_macro_attribute]
pub fn needs_shared(_: TokenStream, test: TokenStream) -> TokenStream {
    if cfg!(shared) {
        return test;
    }
    let ignored: TokenStream = "#[ignore = \"needs ../shared, or STAGGER_SHARED\"]".parse().expect("an attribute");
    ignored.into_iter().chain(test).collect()
}

/// The path of the folder, a `&str`.
#[proc_macro]
pub fn shared_folder(_: TokenStream) -> TokenStream {
    format!("{:?}", env!("SHARED_FOLDER")).parse().expect("a literal")
}
