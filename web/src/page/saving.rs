//! Taking text out of the page.

use js_sys::Array;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Blob, BlobPropertyBag, HtmlAnchorElement, Url};

use super::dom::{create, window};
use crate::js;

/// Lets the browser save a file.
pub fn save(name: &str, media_type: &str, text: &str) -> Result<(), JsValue> {
    let kind = BlobPropertyBag::new();
    kind.set_type(media_type);
    let blob = Blob::new_with_str_sequence_and_options(&Array::of1(&text.into()), &kind)?;
    let url = Url::create_object_url_with_blob(&blob)?;
    let link: HtmlAnchorElement = create("a", "")?.unchecked_into();
    link.set_href(&url);
    link.set_download(name);
    link.click();
    Url::revoke_object_url(&url)
}

/// Puts text onto the clipboard; what came of it, for the visitor.
pub async fn copy(text: &str) -> &'static str {
    let clipboard = window().map(|window| js::get(&window.navigator(), "clipboard"));
    let copied = match clipboard {
        Ok(clipboard) => js::call_async(&clipboard, "writeText", &[text.into()]).await,
        Err(error) => Err(error),
    };
    match copied {
        Ok(_) => "Copied.",
        Err(_) => "The browser does not let this page copy: select the text and copy it.",
    }
}
