//! How busy this worker's GPU is, and how full, as its driver tells (NVML). The library is the driver's and is looked
//! for while the process runs: where it is not, nothing is told, and nothing else changes.

use nvml_wrapper::{Device, Nvml, error::NvmlError};
use weldfleet_service::metrics::gauge;

/// By which CUDA chooses what it shows to a process, and numbers it.
const VISIBLE: &str = "CUDA_VISIBLE_DEVICES";
/// By which order it numbers them.
const DEVICE_ORDER: &str = "CUDA_DEVICE_ORDER";

/// A GPU whose driver answers.
pub struct Gpu {
    nvml: Nvml,
    which: Which,
}

/// As the driver knows a GPU.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Which {
    Index(u32),
    /// Its beginning is enough.
    Uuid(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Load {
    /// Time in which something ran on it, of the last second or less.
    busy_percent: u32,
    used_bytes: u64,
    total_bytes: u64,
}

/// What tells a GPU from others, and the memory that nobody uses yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    pub name: String,
    pub bytes: u64,
    pub free_bytes: u64,
}

impl Gpu {
    /// The GPU that CUDA calls `device_id` in this process; `None` where no driver tells of it.
    pub fn find(device_id: u32) -> Option<Self> {
        let visible = std::env::var(VISIBLE).ok();
        let which = which(visible.as_deref(), device_id)?;
        let nvml = Nvml::init()
            .inspect_err(|error| tracing::info!(%error, "how busy the GPU is cannot be told"))
            .ok()?;
        let gpu = Self { nvml, which };
        if matches!(gpu.which, Which::Index(_)) && !gpu.is_numbered_alike() {
            tracing::info!(
                "GPUs of several kinds: which is CUDA's is known with CUDA_DEVICE_ORDER=PCI_BUS_ID"
            );
            return None;
        }
        match gpu.look() {
            Ok(_) => Some(gpu),
            Err(error) => {
                tracing::info!(%error, which = ?gpu.which, "how busy the GPU is cannot be told");
                None
            }
        }
    }

    /// What the fleet is told; empty where the driver does not answer at this moment.
    pub fn fields(&self) -> Vec<(String, String)> {
        self.look().map_or_else(|_| Vec::new(), told)
    }

    /// Which GPU it is; `None` where the driver does not answer.
    pub fn about(&self) -> Option<About> {
        let device = self.device().ok()?;
        let memory = device.memory_info().ok()?;
        Some(About {
            name: device.name().ok()?,
            bytes: memory.total,
            free_bytes: memory.free,
        })
    }

    fn look(&self) -> Result<Load, NvmlError> {
        let device = self.device()?;
        let memory = device.memory_info()?;
        Ok(Load {
            busy_percent: device.utilization_rates()?.gpu,
            used_bytes: memory.used,
            total_bytes: memory.total,
        })
    }

    fn device(&self) -> Result<Device<'_>, NvmlError> {
        let start = match &self.which {
            Which::Index(index) => return self.nvml.device_by_index(*index),
            Which::Uuid(start) => start,
        };
        // One that is lost tells no uuid and is not ours.
        (0..self.nvml.device_count()?)
            .filter_map(|index| self.nvml.device_by_index(index).ok())
            .find(|device| device.uuid().is_ok_and(|uuid| uuid.starts_with(start)))
            .ok_or(NvmlError::NotFound)
    }

    /// CUDA numbers the fastest first unless told to go by the bus, as the driver does: an index means the same to both
    /// where all are alike.
    fn is_numbered_alike(&self) -> bool {
        if std::env::var(DEVICE_ORDER).is_ok_and(|order| order == "PCI_BUS_ID") {
            return true;
        }
        let count = self.nvml.device_count().unwrap_or(0);
        let names = (0..count).map(|index| self.nvml.device_by_index(index)?.name());
        names
            .collect::<Result<Vec<_>, _>>()
            .is_ok_and(|names| names.windows(2).all(|two| two[0] == two[1]))
    }
}

/// The driver answers no more: its last word is not the load of now.
pub fn unknown() {
    for gauge in [
        gauge!("weldfleet_gpu_busy_ratio"),
        gauge!("weldfleet_gpu_memory_used_bytes"),
        gauge!("weldfleet_gpu_memory_bytes"),
    ] {
        gauge.set(f64::NAN);
    }
}

fn told(load: Load) -> Vec<(String, String)> {
    gauge!("weldfleet_gpu_busy_ratio").set(f64::from(load.busy_percent) / 100.0);
    gauge!("weldfleet_gpu_memory_used_bytes").set(load.used_bytes as f64);
    gauge!("weldfleet_gpu_memory_bytes").set(load.total_bytes as f64);
    [
        ("gpu_busy_percent", u64::from(load.busy_percent)),
        ("gpu_memory_used_bytes", load.used_bytes),
        ("gpu_memory_bytes", load.total_bytes),
    ]
    .map(|(name, number)| (name.to_owned(), number.to_string()))
    .into()
}

/// What `CUDA_VISIBLE_DEVICES` says of CUDA's device `device_id`; of a slice of a GPU (MIG) the driver tells no load.
fn which(visible: Option<&str>, device_id: u32) -> Option<Which> {
    let Some(visible) = visible else {
        return Some(Which::Index(device_id));
    };
    let name = visible.split(',').nth(device_id as usize)?.trim();
    match name.parse() {
        Ok(index) => Some(Which::Index(index)),
        Err(_) => name
            .starts_with("GPU-")
            .then(|| Which::Uuid(name.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuda_numbers_what_it_is_shown() {
        let index = |index| Some(Which::Index(index));
        assert_eq!(which(None, 1), index(1));
        assert_eq!(which(Some("3, 2"), 0), index(3));
        assert_eq!(which(Some("3, 2"), 1), index(2));
        assert_eq!(which(Some("3,2"), 2), None);
        assert_eq!(which(Some(""), 0), None);
        let uuid = "GPU-8932f937".to_owned();
        assert_eq!(which(Some("GPU-8932f937"), 0), Some(Which::Uuid(uuid)));
        assert_eq!(which(Some("MIG-8932f937"), 0), None);
    }

    #[test]
    fn where_no_driver_is_nothing_is_told() {
        if std::path::Path::new("/dev/nvidiactl").exists() {
            return;
        }
        assert!(Gpu::find(0).is_none());
    }

    #[test]
    fn a_load_is_told_in_plain_numbers() {
        let load = Load {
            busy_percent: 71,
            used_bytes: 12 << 30,
            total_bytes: 80 << 30,
        };
        let fields = told(load);
        assert_eq!(fields[0], ("gpu_busy_percent".to_owned(), "71".to_owned()));
        assert_eq!(fields[1].1, "12884901888");
        assert_eq!(fields[2].0, "gpu_memory_bytes");
    }
}
