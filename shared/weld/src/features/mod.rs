//! What a model is fed: `inference_config.json`, rows of the `[N, 4, L]` tensor, or the curves themselves; of either
//! only the weld, without the idle time that a recorder adds.

mod config;
mod idle;
mod raw;
mod resampling;
mod row;

pub use config::{
    Channel, Fit, InferenceConfig, InferenceConfigError, InputKind, OutputNames, SCALARS_INPUT,
};
pub use idle::{weld_span, without_idle};
pub use raw::{Span, lay_out, write_raw};
pub use resampling::Resampling;
pub use row::write_row;

/// Channels of the tensor: U, I, R, P.
pub const CHANNELS: usize = 4;
/// Columns of the regression output: diameter, indentation, front thickness, stack thickness, all mm.
pub const REGRESSIONS: usize = 4;
