//! JSON: in a browser read and written by the browser itself, which adds nothing to the download.

use serde::{Serialize, de::DeserializeOwned};

/// # Errors
/// What is wrong with the text, or with what it tells.
pub fn read<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    #[cfg(target_arch = "wasm32")]
    {
        let value = js_sys::JSON::parse(text)
            .map_err(|error| String::from(js_sys::Error::from(error).message()))?;
        serde_wasm_bindgen::from_value(value).map_err(|error| error.to_string())
    }
    #[cfg(not(target_arch = "wasm32"))]
    serde_json::from_str(text).map_err(|error| error.to_string())
}

/// The text of a value, of whose fields none can fail to be written: text, finite numbers, and lists of
/// such.
pub fn write(value: &impl Serialize) -> String {
    #[cfg(target_arch = "wasm32")]
    {
        let plain = serde_wasm_bindgen::Serializer::json_compatible();
        let value = value.serialize(&plain).unwrap_or_default();
        js_sys::JSON::stringify(&value).map_or_else(|_| String::new(), String::from)
    }
    #[cfg(not(target_arch = "wasm32"))]
    serde_json::to_string(value).unwrap_or_default()
}
