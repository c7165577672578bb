//! The ONNX models and the threads that run them.
//!
//! # Layout
//! - [`Models`]: the models on their device, opened;
//! - [`runtime`]: ONNX Runtime, loaded once, and a provider; `provider`: which one; [`openvino`]: the one that is a
//!   plugin; [`engines`]: TensorRT's files; [`remedy`]: what to do where a session cannot be had;
//! - [`catalog`]: the models of `model_export_dir`: `global/` and those of parts; [`parts`]: which folder judges which
//!   part;
//! - [`files`]: what a model consists of, read once; [`external`]: which files those are; [`changes`]: what became of
//!   them;
//! - [`interface`]: what a graph declares; [`trial`]: whether it keeps to it, by the made-up rows of [`probe`];
//! - [`session`]: one model on one device; [`bound`]: the pinned buffers of a session on a GPU;
//! - [`layout`]: sessions, threads and rows of a batch; [`tuning`]: which layout, by measurement; [`hardware`]: names
//!   of devices;
//! - [`compute`]: what one compute thread owns, and judging with it; [`sessions`]: its sessions, as many as fit;
//! - [`isolation`]: a chunk that fails, in halves;
//! - [`pool`]: the compute threads, fed with chunks of rows; `pool_error`: why they did not judge;
//! - [`welds`]: rows of a table or records of a file, seen alike.
//!
//! On a CPU one single-threaded session per core usually beats one session over all cores by a third, and small batches
//! beat large ones (cache). On a GPU each compute thread has a session, and so a stream, of its own: while the device
//! works for one, the others validate, ask the rules and copy.

pub(crate) mod bound;
pub(crate) mod catalog;
pub(crate) mod changes;
pub(crate) mod compute;
mod engines;
pub(crate) mod external;
pub(crate) mod files;
pub(crate) mod hardware;
pub(crate) mod interface;
pub(crate) mod isolation;
pub(crate) mod layout;
mod models;
pub(crate) mod openvino;
pub(crate) mod parts;
pub(crate) mod pool;
mod pool_error;
pub(crate) mod probe;
mod provider;
mod remedy;
pub(crate) mod runtime;
pub(crate) mod session;
pub(crate) mod sessions;
pub(crate) mod trial;
pub(crate) mod tuning;
pub(crate) mod welds;

pub use models::Models;
