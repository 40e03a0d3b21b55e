//! A page in a headless Chromium, driven by the DevTools protocol over pipes: commands go to its file
//! descriptor 3 and answers come from 4, each a text of JSON that ends with a zero byte. So no crate
//! for web sockets is needed, and no port.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
const PATIENCE: Duration = Duration::from_secs(180);

/// The name of a program that can show pages, if there is one. `PICTURE_CHROMIUM` names another.
pub(crate) fn chromium() -> Option<String> {
    let named = std::env::var("PICTURE_CHROMIUM").ok();
    let runs = |name: &String| {
        let version = Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        version.is_ok_and(|status| status.success())
    };
    let found = named.into_iter().chain(NAMES.map(str::to_owned)).find(runs);
    if found.is_none() {
        println!("SKIPPED: there is no Chromium here; `apt-get install chromium`, or name one in PICTURE_CHROMIUM");
    }
    found
}

pub(crate) struct Browser {
    process: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    number: u64,
    session: Option<String>,
    /// The requests of the page.
    pub(crate) requests: Vec<String>,
    /// Errors in its script.
    pub(crate) problems: Vec<String>,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts with an empty page of this size. No name can be resolved in it. On a busy machine it may end before it has
    /// opened a page: it is started again then.
    pub(crate) fn start(program: &str, width: u32, height: u32) -> Self {
        let (mut browser, target) = (0..5).find_map(|_| Self::launch(program)).expect("the browser opens a page");
        browser.attach(&target, width, height);
        browser
    }

    /// The browser, and its page.
    fn launch(program: &str) -> Option<(Self, Value)> {
        let profile = tempfile::tempdir().expect("a folder for the profile");
        let arguments = [
            "--headless",
            "--no-sandbox", // the tests may run as root, and show only our own page
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            "--remote-debugging-pipe",
        ];
        let mut process = Command::new("sh")
            .args(["-c", r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null 2>&1"#, program])
            .args(arguments)
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell starts");
        let to = process.stdin.take().expect("it has an input");
        let out = BufReader::new(process.stdout.take().expect("it has an output"));
        let (sender, from) = channel();
        std::thread::spawn(move || {
            for message in out.split(0).map_while(Result::ok) {
                let Ok(message) = serde_json::from_slice::<Value>(&message) else { return };
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        let (requests, problems) = (Vec::new(), Vec::new());
        let mut browser = Self { process, to, from, number: 0, session: None, requests, problems, _profile: profile };
        let target = browser.try_call("Target.createTarget", &json!({ "url": "about:blank" })).ok()?;
        Some((browser, target))
    }

    fn attach(&mut self, target: &Value, width: u32, height: u32) {
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = self.call("Target.attachToTarget", &attach);
        self.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Network", "Page", "Runtime", "Accessibility"] {
            self.call(&format!("{domain}.enable"), &json!({}));
        }
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.call("Emulation.setDeviceMetricsOverride", &metrics);
    }

    /// Sends a command and waits for its answer; notes what happens meanwhile.
    pub(crate) fn call(&mut self, method: &str, parameters: &Value) -> Value {
        self.try_call(method, parameters).unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// The same, or the error that the browser answers, or why it answers nothing.
    fn try_call(&mut self, method: &str, parameters: &Value) -> Result<Value, Value> {
        self.number += 1;
        let mut message = json!({ "id": self.number, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        let mute = |why: String| json!({ "message": why });
        self.to.write_all(&bytes).map_err(|error| mute(error.to_string()))?;
        loop {
            let answer = self.from.recv_timeout(PATIENCE).map_err(|error| mute(error.to_string()))?;
            if answer["id"] == self.number {
                return if answer["error"].is_null() {
                    Ok(answer["result"].clone())
                } else {
                    Err(answer["error"].clone())
                };
            }
            self.note(&answer);
        }
    }

    fn note(&mut self, event: &Value) {
        match event["method"].as_str() {
            Some("Network.requestWillBeSent") => {
                self.requests.extend(event["params"]["request"]["url"].as_str().map(str::to_owned));
            }
            Some("Runtime.exceptionThrown") => self.problems.push(event["params"]["exceptionDetails"].to_string()),
            _ => {}
        }
    }

    /// Light or dark, and with more or less motion.
    pub(crate) fn prefer(&mut self, scheme: &str) {
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
        self.call("Emulation.setEmulatedMedia", &json!({ "features": [feature] }));
    }

    /// Opens a file and waits until it is shown; gives the milliseconds of its own count.
    pub(crate) fn open(&mut self, file: &Path) -> f64 {
        self.call("Page.navigate", &json!({ "url": format!("file://{}", file.display()) }));
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            // Between the empty page and this one there is none, and asking is an error.
            let shown = json!({ "expression": "document.documentElement?.dataset.shown", "returnByValue": true });
            let shown = self.try_call("Runtime.evaluate", &shown).unwrap_or_default();
            if let Some(millis) = shown["result"]["value"].as_str() {
                return millis.parse().expect("a number");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("the page is not shown: {:?}", self.problems);
    }

    /// The value of an expression.
    pub(crate) fn value(&mut self, expression: &str) -> Value {
        let parameters = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let result = self.call("Runtime.evaluate", &parameters);
        assert!(result["exceptionDetails"].is_null(), "{expression}: {}", result["exceptionDetails"]);
        result["result"]["value"].clone()
    }

    /// Waits until the next picture is drawn.
    pub(crate) fn settle(&mut self) {
        self.value("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))");
    }

    /// The middle of the first element that an expression gives, scrolled into the middle of the window.
    fn place(&mut self, element: &str) -> (f64, f64) {
        let expression = format!(
            "(() => {{ const element = {element}; element.scrollIntoView({{ block: 'center' }});
            const box = element.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; }})()"
        );
        let place = self.value(&expression);
        (place[0].as_f64().expect("a number"), place[1].as_f64().expect("a number"))
    }

    fn mouse(&mut self, kind: &str, (x, y): (f64, f64), shift: bool) {
        let buttons = i32::from(kind == "mousePressed" || kind == "mouseMoved");
        let modifiers = if shift { 8 } else { 0 };
        let event = json!({
            "type": kind, "x": x, "y": y, "button": "left", "buttons": buttons, "clickCount": 1, "modifiers": modifiers
        });
        self.call("Input.dispatchMouseEvent", &event);
    }

    /// Clicks on the element that an expression gives.
    pub(crate) fn click(&mut self, element: &str, shift: bool) {
        let place = self.place(element);
        self.mouse("mousePressed", place, shift);
        self.mouse("mouseReleased", place, shift);
        self.settle();
    }

    /// Drags from one part of an element to another, by shares of its width.
    pub(crate) fn drag(&mut self, element: &str, from: f64, to: f64) {
        let (x, y) = self.place(element);
        let width = self.value(&format!("({element}).getBoundingClientRect().width")).as_f64().expect("a number");
        let at = |share: f64| (x + width * (share - 0.5), y);
        self.mouse("mousePressed", at(from), false);
        self.mouse("mouseMoved", at((from + to) / 2.0), false);
        self.mouse("mouseMoved", at(to), false);
        self.mouse("mouseReleased", at(to), false);
        self.settle();
    }

    /// Presses a key: its name, and the text that it types, if any.
    pub(crate) fn press(&mut self, key: &str) {
        let (name, text, code) = match key {
            "Space" => (" ", " ", 32),
            "Enter" => ("Enter", "\r", 13),
            "Tab" => ("Tab", "", 9),
            other => (other, "", 0),
        };
        let mut event = json!({ "type": "keyDown", "key": name, "code": key, "windowsVirtualKeyCode": code });
        if !text.is_empty() {
            event["text"] = json!(text);
        }
        self.call("Input.dispatchKeyEvent", &event);
        self.call(
            "Input.dispatchKeyEvent",
            &json!({ "type": "keyUp", "key": name, "code": key, "windowsVirtualKeyCode": code }),
        );
        self.settle();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.session = None;
        let close = json!({ "id": 0, "method": "Browser.close" }).to_string();
        let _ = self.to.write_all(close.as_bytes()).and_then(|()| self.to.write_all(&[0]));
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(5) {
            if !matches!(self.process.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
