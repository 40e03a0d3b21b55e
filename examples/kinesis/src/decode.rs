//! (stub)
use crate::times::TimeFormat;
use stagger::Timestamp;
use std::borrow::Cow;
#[derive(Debug)]
pub(crate) struct Decoded<'a> {
    pub(crate) key: Cow<'a, str>,
    pub(crate) time: Timestamp,
    pub(crate) value: Cow<'a, str>,
}
pub(crate) struct Fields {
    pub key: Vec<String>,
    pub time: String,
    pub value: Option<String>,
    pub time_format: TimeFormat,
}
pub(crate) struct Decoder(Fields);
impl Decoder {
    pub(crate) fn new(fields: Fields) -> Self {
        Self(fields)
    }
    pub(crate) fn decode_all(&mut self, data: &[u8], mut each: impl FnMut(Result<Decoded<'_>, String>)) {
        let one = || -> Result<Decoded<'_>, String> {
            let v: serde_json::Value = serde_json::from_slice(data).map_err(|e| e.to_string())?;
            let key: Vec<_> = self.0.key.iter().map(|k| v[k].clone()).collect();
            if key.iter().any(|k| k.is_null()) {
                return Err("no key".into());
            }
            let time = v[&self.0.time].as_str().and_then(|t| self.0.time_format.parse(t)).ok_or("no time")?;
            Ok(Decoded {
                key: serde_json::to_string(&key).unwrap().into(),
                time,
                value: v[self.0.value.as_ref().unwrap()].as_str().unwrap_or("").to_owned().into(),
            })
        };
        each(one());
    }
}
