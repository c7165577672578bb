//! `inference_config.json`: what a model needs, written by whoever trained it.

use serde::{Deserialize, Serialize};

use super::CHANNELS;
use crate::BadValue;

/// How a curve of any length becomes `target_len` points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fit {
    /// Linearly, endpoint to endpoint: point `j` lies at sample `j·(n−1)/(L−1)`, as
    /// `np.interp(np.linspace(0, n - 1, L), np.arange(n), x)`.
    Resample,
    /// The first `target_len` samples, zeros behind a shorter curve.
    Pad,
}

/// What a model is fed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputKind {
    /// Rows of U, I, R and P: one input, f32 `[N, 4, L]`.
    #[default]
    Features,
    /// The curves as measured, in V and kA; fitting, R, P and scale are inside the graph. Two inputs: samples f32
    /// `[S]`, every weld's voltages followed by its currents, and spans i64 `[N, 2]`, where in it each weld begins and
    /// how many points it has.
    Raw,
}

/// A channel of the tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Channel {
    /// Voltage, V.
    U,
    /// Current, kA.
    I,
    /// Resistance U/I, mΩ; 0 where I is below `current_floor_ka`.
    R,
    /// Power U·I, kW.
    P,
}

/// Name of the ONNX input that takes the scalars, f32 `[N, k]`.
pub const SCALARS_INPUT: &str = "scalars";

/// Names of the ONNX outputs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OutputNames {
    /// f32 `[N]`: probability of NOK.
    pub nok_prob: String,
    /// f32 `[N, 4]`: diameter, indentation, front thickness, stack thickness, mm.
    pub regression: String,
}

impl Default for OutputNames {
    fn default() -> Self {
        Self {
            nok_prob: "nok_prob".to_owned(),
            regression: "regression".to_owned(),
        }
    }
}

/// `inference_config.json`. Unknown keys are refused, save `training`, which may hold anything.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InferenceConfig {
    /// Written to every row the model judged.
    pub model_version: String,
    /// What the model is fed. With `raw`, `target_len` to `current_floor_ka` say what the graph makes of the curves.
    #[serde(default)]
    pub input_kind: InputKind,
    /// Points a channel, L.
    pub target_len: usize,
    pub fit: Fit,
    /// Must be `["U", "I", "R", "P"]`: said so that a model of another order is refused and not misfed.
    pub channels: Vec<Channel>,
    /// What each channel is multiplied with, in channel order.
    pub scale: [f32; CHANNELS],
    /// R is 0 where I is below this, kA.
    #[serde(default = "default_current_floor_ka")]
    pub current_floor_ka: f32,
    /// Idle time that is kept before the weld, ms: no more than every training curve had. Without it nothing is cut
    /// there, and the verdict depends on how early the recorder began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_before_ms: Option<f64>,
    /// Idle time that is kept after the weld, ms; as `idle_before_ms`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_after_ms: Option<f64>,
    /// Probability from which the model says NOK.
    pub nok_threshold: f32,
    /// Name of the ONNX input that takes the curves: f32 `[N, 4, L]`, of a raw model f32 `[S]`.
    #[serde(default = "default_input")]
    pub input: String,
    /// Name of a raw model's second input, i64 `[N, 2]`.
    #[serde(default = "default_spans")]
    pub spans: String,
    /// Numbers of a weld that the model is fed besides, in its input [`SCALARS_INPUT`]: `umax` (V), `imax` (kA), and
    /// any that is configured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scalars: Vec<String>,
    /// What stands for a scalar that a weld has not; NaN without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scalars_missing: Option<f32>,
    /// Names of the ONNX outputs.
    #[serde(default)]
    pub outputs: OutputNames,
    /// Where the model comes from; for people.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub training: serde_json::Value,
}

fn default_current_floor_ka() -> f32 {
    1.0
}

fn default_input() -> String {
    "curves".to_owned()
}

fn default_spans() -> String {
    "spans".to_owned()
}

/// Why an `inference_config.json` was refused.
#[derive(Debug, thiserror::Error)]
pub enum InferenceConfigError {
    /// Not JSON of the right shape.
    #[error("not an inference configuration")]
    Json(#[from] serde_json::Error),
    /// A value outside its range.
    #[error(transparent)]
    Value(#[from] BadValue),
}

impl InferenceConfig {
    /// Reads and checks the file's content.
    ///
    /// # Errors
    /// [`InferenceConfigError`], naming the key.
    pub fn from_json(text: &str) -> Result<Self, InferenceConfigError> {
        let config: Self = serde_json::from_str(text)?;
        config.check()?;
        Ok(config)
    }

    /// # Errors
    /// The first key that is out of its range.
    pub fn check(&self) -> Result<(), BadValue> {
        BadValue::unless(
            !self.model_version.trim().is_empty(),
            "model_version",
            "empty",
            "give the text that tells this model from others",
        )?;
        BadValue::unless(
            (2..=65_536).contains(&self.target_len),
            "target_len",
            self.target_len,
            "give points a channel, 2 to 65536",
        )?;
        BadValue::unless(
            self.channels == [Channel::U, Channel::I, Channel::R, Channel::P],
            "channels",
            format_args!("{:?}", self.channels),
            "only [\"U\", \"I\", \"R\", \"P\"] is supported",
        )?;
        for scale in self.scale {
            BadValue::unless(
                scale.is_finite() && scale != 0.0,
                "scale",
                scale,
                "give four finite factors other than 0, in channel order",
            )?;
        }
        BadValue::unless(
            self.current_floor_ka > 0.0 && self.current_floor_ka <= 100.0,
            "current_floor_ka",
            self.current_floor_ka,
            "give kA above 0, at most 100",
        )?;
        for (key, idle) in [
            ("idle_before_ms", self.idle_before_ms),
            ("idle_after_ms", self.idle_after_ms),
        ] {
            if let Some(ms) = idle {
                let remedy = "give ms from 0 to 1000000, or leave it out to cut nothing";
                BadValue::unless((0.0..=1e6).contains(&ms), key, ms, remedy)?;
            }
        }
        BadValue::unless(
            self.nok_threshold > 0.0 && self.nok_threshold <= 1.0,
            "nok_threshold",
            self.nok_threshold,
            "give a probability above 0, at most 1",
        )?;
        for (key, name) in [
            ("input", &self.input),
            ("spans", &self.spans),
            ("outputs.nok_prob", &self.outputs.nok_prob),
            ("outputs.regression", &self.outputs.regression),
        ] {
            let remedy = "give the tensor's name in the ONNX file";
            BadValue::unless(!name.is_empty(), key, "empty", remedy)?;
        }
        for name in &self.scalars {
            let times = self.scalars.iter().filter(|other| *other == name).count();
            BadValue::unless(
                !name.is_empty() && times == 1,
                "scalars",
                format_args!("{:?}, with `{name}` in it", self.scalars),
                "give each number's name once, such as [\"umax\", \"tip_dress_count\"]",
            )?;
        }
        let Some(missing) = self.scalars_missing else {
            return Ok(());
        };
        BadValue::unless(
            !self.scalars.is_empty() && missing.is_finite(),
            "scalars_missing",
            missing,
            "give a finite number, and in `scalars` what it stands for",
        )
    }

    /// Whether a verdict of this model does not depend on how long the recorder ran.
    #[must_use]
    pub fn cuts_idle(&self) -> bool {
        self.idle_before_ms.is_some() && self.idle_after_ms.is_some()
    }

    /// f32 values of one row of features: 4·L.
    #[must_use]
    pub fn row_len(&self) -> usize {
        CHANNELS * self.target_len
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn valid() -> serde_json::Value {
        serde_json::json!({
            "model_version": "m1", "target_len": 1000, "fit": "resample", "channels": ["U", "I", "R", "P"],
            "scale": [0.4, 0.1, 3.0, 0.04], "nok_threshold": 0.5, "training": {"seed": 7}
        })
    }

    #[test]
    fn the_least_file_has_the_contracts_names() {
        let config = InferenceConfig::from_json(&valid().to_string()).unwrap();
        assert_eq!(config.input_kind, InputKind::Features);
        assert_eq!(
            (config.input.as_str(), config.spans.as_str()),
            ("curves", "spans")
        );
        assert_eq!(
            (
                config.outputs.nok_prob.as_str(),
                config.outputs.regression.as_str()
            ),
            ("nok_prob", "regression")
        );
        assert_eq!(config.current_floor_ka, 1.0);
        assert!(!config.cuts_idle());
        assert_eq!(config.row_len(), 4000);
    }

    #[test]
    fn errors_name_the_key() {
        use serde_json::json;
        let cases = [
            ("model_version", json!(" "), "`model_version` is empty"),
            ("target_len", json!(1), "`target_len` is 1"),
            (
                "fit",
                json!("stretch"),
                "unknown variant `stretch`, expected `resample` or `pad`",
            ),
            (
                "channels",
                json!(["I", "U", "R", "P"]),
                "`channels` is [I, U, R, P]: only",
            ),
            (
                "channels",
                json!(["U", "I", "R", "Q"]),
                "unknown variant `Q`",
            ),
            ("scale", json!([1, 1, 1]), "invalid length 3"),
            ("scale", json!([1, 0, 1, 1]), "`scale` is 0"),
            ("nok_threshold", json!(1.5), "`nok_threshold` is 1.5"),
            ("nok_treshold", json!(0.5), "unknown field `nok_treshold`"),
            (
                "outputs",
                json!({"nok_prob": ""}),
                "`outputs.nok_prob` is empty",
            ),
            ("current_floor_ka", json!(0), "`current_floor_ka` is 0"),
            ("idle_before_ms", json!(-1), "`idle_before_ms` is -1"),
            ("idle_after_ms", json!(1e7), "`idle_after_ms` is 10000000"),
            (
                "input_kind",
                json!("curves"),
                "unknown variant `curves`, expected `features` or `raw`",
            ),
            ("spans", json!(""), "`spans` is empty"),
            ("scalars", json!(["a", "b", "a"]), "with `a` in it"),
            ("scalars_missing", json!(1), "`scalars_missing` is 1"),
        ];
        for (key, value, wanted) in cases {
            let mut config = valid();
            config[key] = value;
            let error = InferenceConfig::from_json(&config.to_string()).unwrap_err();
            let text = match std::error::Error::source(&error) {
                Some(source) => format!("{error}: {source}"),
                None => error.to_string(),
            };
            assert!(text.contains(wanted), "{key}: {text}");
        }
    }
}
