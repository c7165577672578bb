//! ONNX Runtime before a device of a given speed: a shared library that the worker loads in ONNX Runtime's place
//! (`ORT_DYLIB_PATH`) and that hands everything through, save that an inference of N rows ends no sooner than N times
//! the given time after it could begin. So the unchanged release worker can be measured as one of a fleet of GPU
//! workers on a machine that has none.
//!
//! The device does one inference at a time, like a GPU, and uses no CPU while it does; then the real model runs, so
//! that the outputs are the model's own. Use a model that costs next to nothing.
//!
//! Read from the environment when the library is loaded:
//! - `TIMED_DEVICE_ONNXRUNTIME`: path of the real `libonnxruntime.so`;
//! - `TIMED_DEVICE_US_A_ROW`: microseconds a row.
//!
//! I/O bindings are handed through untimed; the bench checks that the time it asked for was spent.
//!
//! # Layout
//! `timeline` is the device; this file is what the library exports.
#![expect(
    unsafe_code,
    reason = "it stands between two programs that speak a C interface"
)]

mod timeline;

use std::{
    env,
    ffi::c_char,
    ptr,
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use libloading::Library;
use ort_sys::{
    OrtApi, OrtApiBase, OrtRunOptions, OrtSession, OrtStatusPtr, OrtTensorTypeAndShapeInfo,
    OrtValue,
};
use timeline::Timeline;

/// What stands behind this library.
struct Real {
    base: *const OrtApiBase,
    /// Never unloaded: its tables are in use until the process ends.
    _library: Library,
    a_row: Duration,
}

// SAFETY: the table is constant data of a library that is never unloaded, and its functions may be called from any
// thread.
unsafe impl Send for Real {}
// SAFETY: as above.
unsafe impl Sync for Real {}

/// The real table and ours, which differs from it in `Run`.
struct Tables {
    real: OrtApi,
    ours: OrtApi,
}

static REAL: OnceLock<Result<Real, String>> = OnceLock::new();
static TABLES: OnceLock<Option<Tables>> = OnceLock::new();
static OUR_BASE: OnceLock<OrtApiBase> = OnceLock::new();
static DEVICE: Timeline = Timeline::idle();

fn real() -> Option<&'static Real> {
    match REAL.get_or_init(load) {
        Ok(real) => Some(real),
        Err(reason) => {
            eprintln!("timed device: {reason}");
            None
        }
    }
}

fn load() -> Result<Real, String> {
    let path = variable("TIMED_DEVICE_ONNXRUNTIME")?;
    let microseconds = variable("TIMED_DEVICE_US_A_ROW")?;
    let microseconds: f64 = microseconds
        .parse()
        .map_err(|_| format!("TIMED_DEVICE_US_A_ROW is `{microseconds}`, write a number"))?;
    let a_row = Duration::try_from_secs_f64(microseconds / 1e6)
        .map_err(|error| format!("TIMED_DEVICE_US_A_ROW is `{microseconds}`: {error}"))?;
    // SAFETY: the caller of this library asked for ONNX Runtime; loading it here runs what loading it there would have
    // run.
    let library = unsafe { Library::new(&path) }.map_err(|error| format!("{path}: {error}"))?;
    // SAFETY: the symbol has this type in every version of ONNX Runtime.
    let base =
        unsafe { library.get::<unsafe extern "C" fn() -> *const OrtApiBase>(b"OrtGetApiBase") }
            .map_err(|error| format!("{path} is no ONNX Runtime: {error}"))
            // SAFETY: it takes nothing and returns a constant.
            .map(|get| unsafe { get() })?;
    if base.is_null() {
        return Err(format!("{path} has no interface"));
    }
    Ok(Real {
        base,
        _library: library,
        a_row,
    })
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|error| format!("{name}: {error}"))
}

/// ONNX Runtime's entry point; null, with the reason on standard error, where the real one cannot be loaded.
#[unsafe(no_mangle)]
pub extern "C" fn OrtGetApiBase() -> *const OrtApiBase {
    let Some(real) = real() else {
        return ptr::null();
    };
    OUR_BASE.get_or_init(|| OrtApiBase {
        GetApi: get_api,
        // SAFETY: checked for null when it was loaded.
        GetVersionString: unsafe { (*real.base).GetVersionString },
    })
}

unsafe extern "system" fn get_api(version: u32) -> *const OrtApi {
    // The layout of the table that is copied is that of this version.
    if version != ort_sys::ORT_API_VERSION {
        eprintln!(
            "timed device: built for interface {} of ONNX Runtime, asked for {version}",
            ort_sys::ORT_API_VERSION
        );
        return ptr::null();
    }
    let tables = TABLES.get_or_init(|| {
        let real = real()?;
        // SAFETY: a table of the version it was asked for, or null.
        let table = unsafe { ((*real.base).GetApi)(version).as_ref() }?.clone();
        let ours = OrtApi {
            Run: run,
            ..table.clone()
        };
        Some(Tables { real: table, ours })
    });
    tables
        .as_ref()
        .map_or(ptr::null(), |tables| ptr::from_ref(&tables.ours))
}

unsafe extern "system" fn run(
    session: *mut OrtSession,
    options: *const OrtRunOptions,
    input_names: *const *const c_char,
    inputs: *const *const OrtValue,
    input_len: usize,
    output_names: *const *const c_char,
    output_names_len: usize,
    outputs: *mut *mut OrtValue,
) -> OrtStatusPtr {
    let (Some(Some(tables)), Some(real)) = (TABLES.get(), real()) else {
        // Nobody has this function without its table.
        std::process::abort();
    };
    if input_len > 0 {
        let mut rows = 0;
        // SAFETY: the caller gave `input_len` inputs.
        let status = unsafe { rows_of(&tables.real, *inputs, &mut rows) };
        if !status.0.is_null() {
            return status;
        }
        let work = real.a_row * u32::try_from(rows).unwrap_or(0);
        let end = DEVICE.book(Instant::now(), work);
        thread::sleep(end.saturating_duration_since(Instant::now()));
    }
    // SAFETY: the caller's own arguments.
    unsafe {
        (tables.real.Run)(
            session,
            options,
            input_names,
            inputs,
            input_len,
            output_names,
            output_names_len,
            outputs,
        )
    }
}

/// First dimension of a tensor.
///
/// # Safety
/// `value` is a tensor.
unsafe fn rows_of(api: &OrtApi, value: *const OrtValue, rows: &mut i64) -> OrtStatusPtr {
    let mut info: *mut OrtTensorTypeAndShapeInfo = ptr::null_mut();
    // SAFETY: `value` is a tensor, and `info` is written before it is read.
    unsafe {
        let status = (api.GetTensorTypeAndShape)(value, &mut info);
        if !status.0.is_null() {
            return status;
        }
        let mut count = 0;
        let mut status = (api.GetDimensionsCount)(info, &mut count);
        if status.0.is_null() && count > 0 {
            let mut dimensions = vec![0; count];
            status = (api.GetDimensions)(info, dimensions.as_mut_ptr(), count);
            *rows = dimensions[0];
        }
        (api.ReleaseTensorTypeAndShapeInfo)(info);
        status
    }
}
