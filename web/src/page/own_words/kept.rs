//! Where a visitor's words outlive the page: in this browser, and in a link. Both have the form of an
//! address's parameters, of which the first has the name of the box.

use web_sys::UrlSearchParams;

use crate::page::dom::{local_storage, replace_address, window};

/// Longer links are cut by what people send them with.
const MAX_LINK_CHARS: usize = 8_000;

/// Where the browser keeps them.
fn key(name: &str) -> String {
    format!("fledge-{name}")
}

/// How they begin in the address of a page.
fn beginning(name: &str) -> String {
    format!("#{name}=")
}

/// What this browser keeps of a box.
pub fn stored(name: &str) -> Option<UrlSearchParams> {
    let text = local_storage()?.get_item(&key(name)).ok()??;
    UrlSearchParams::new_with_str(&text).ok()
}

/// Keeps it; whether there was room.
pub fn store(name: &str, parameters: Option<&str>) -> bool {
    let Some(storage) = local_storage() else {
        return parameters.is_none();
    };
    match parameters {
        Some(text) => storage.set_item(&key(name), text).is_ok(),
        None => storage.remove_item(&key(name)).is_ok(),
    }
}

/// What the page's address has for a box.
pub fn linked(name: &str) -> Option<UrlSearchParams> {
    let hash = window().ok()?.location().hash().ok()?;
    let is_ours = hash.starts_with(&beginning(name)) && hash.len() <= MAX_LINK_CHARS;
    UrlSearchParams::new_with_str(hash.get(1..).filter(|_| is_ours)?).ok()
}

/// Puts it into the page's address, which is the link then; `None` if it is too long.
pub fn link(parameters: &str) -> Option<String> {
    if parameters.len() >= MAX_LINK_CHARS {
        return None;
    }
    let location = window().ok()?.location();
    location.set_hash(parameters).ok()?;
    location.href().ok()
}

/// Takes it out of the page's address, which no longer holds what is in the box.
pub fn unlink(name: &str) {
    let Ok(window) = window() else { return };
    let location = window.location();
    let is_linked = location
        .hash()
        .is_ok_and(|hash| hash.starts_with(&beginning(name)));
    if let (true, Ok(href)) = (is_linked, location.href()) {
        replace_address(href.split('#').next().unwrap_or_default());
    }
}
