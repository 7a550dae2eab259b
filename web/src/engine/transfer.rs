//! One file from the server, over as many connections as it takes.

use js_sys::{Promise, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    AbortController, Headers, ReadableStreamDefaultReader, Request, RequestInit,
    Response as HttpResponse,
};

use super::{
    Failure,
    download::{Wanted, failure},
};
use crate::{protocol::FailureKind, worker_channel::Channel};

/// Waits before a broken transfer goes on where it broke.
const PAUSES_MS: [i32; 4] = [300, 1_000, 3_000, 8_000];

pub struct Transfer<'a> {
    channel: &'a Channel,
    wanted: &'a Wanted<'a>,
    controller: &'a AbortController,
    /// How the browser's own cache is used.
    cache: &'a str,
    bytes: Vec<u8>,
}

/// How a connection ended.
enum Ended {
    /// The file is whole.
    Whole,
    /// It may go on after a pause.
    Broken(Failure),
}

impl<'a> Transfer<'a> {
    pub fn new(
        channel: &'a Channel,
        wanted: &'a Wanted<'a>,
        controller: &'a AbortController,
        cache: &'a str,
    ) -> Self {
        Self {
            channel,
            wanted,
            controller,
            cache,
            bytes: Vec::new(),
        }
    }

    /// The whole file. A connection that breaks is taken up again, from the byte where it broke.
    pub async fn finish(&mut self, report: &mut dyn FnMut(u64)) -> Result<Vec<u8>, Failure> {
        let mut pauses = PAUSES_MS.into_iter();
        loop {
            let before = self.bytes.len();
            let failure = match self.connect(report).await? {
                Ended::Whole => return Ok(std::mem::take(&mut self.bytes)),
                Ended::Broken(failure) => failure,
            };
            if self.bytes.len() > before {
                pauses = PAUSES_MS.into_iter();
            }
            match pauses.next() {
                Some(pause_ms) if !self.controller.signal().aborted() => self.wait(pause_ms).await,
                _ => return Err(failure),
            }
        }
    }

    async fn wait(&self, ms: i32) {
        let scope = self.channel.scope();
        let pause = Promise::new(&mut |resolve, _| {
            let _ = scope.set_timeout_with_callback_and_timeout_and_arguments_0(&resolve, ms);
        });
        let _ = JsFuture::from(pause).await;
    }

    fn request(&self) -> Result<Request, JsValue> {
        let options = RequestInit::new();
        options.set_signal(Some(&self.controller.signal()));
        Reflect::set(&options, &"cache".into(), &self.cache.into())?;
        if !self.bytes.is_empty() {
            let headers = Headers::new()?;
            headers.set("Range", &format!("bytes={}-", self.bytes.len()))?;
            options.set_headers(&headers);
        }
        Request::new_with_str_and_init(&self.wanted.url, &options)
    }

    async fn connect(&mut self, report: &mut dyn FnMut(u64)) -> Result<Ended, Failure> {
        let name = self.wanted.name;
        let request = self.request().map_err(|error| failure(name, &error))?;
        let fetched = JsFuture::from(self.channel.scope().fetch_with_request(&request)).await;
        let response: HttpResponse = match fetched.and_then(JsCast::dyn_into) {
            Ok(response) => response,
            Err(error) => return Ok(Ended::Broken(failure(name, &error))),
        };
        if !response.ok() {
            let answered = format!("{name}: the server answered {}", response.status());
            return Err(Failure::new(FailureKind::Download, answered));
        }
        // A server that knows no ranges begins anew.
        if response.status() != 206 {
            self.bytes.clear();
        }
        let Some(body) = response.body() else {
            return Ok(Ended::Whole);
        };
        self.read(body.get_reader().unchecked_into(), report).await
    }

    async fn read(
        &mut self,
        reader: ReadableStreamDefaultReader,
        report: &mut dyn FnMut(u64),
    ) -> Result<Ended, Failure> {
        let Wanted {
            name, max_bytes, ..
        } = *self.wanted;
        loop {
            let part = match JsFuture::from(reader.read()).await {
                Ok(part) => part,
                Err(error) => return Ok(Ended::Broken(failure(name, &error))),
            };
            let field = |key: &str| Reflect::get(&part, &key.into()).unwrap_or(JsValue::UNDEFINED);
            if field("done").is_truthy() {
                return Ok(Ended::Whole);
            }
            let part: Uint8Array = field("value")
                .dyn_into()
                .map_err(|error| failure(name, &error))?;
            if self.bytes.len() as u64 + u64::from(part.length()) > max_bytes {
                self.controller.abort();
                return Err(Failure::new(
                    FailureKind::Model,
                    format!("{name} is more than the {max_bytes} bytes that are allowed"),
                ));
            }
            let start = self.bytes.len();
            self.bytes.resize(start + part.length() as usize, 0);
            part.copy_to(&mut self.bytes[start..]);
            report(self.bytes.len() as u64);
        }
    }
}
