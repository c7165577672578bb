//! What a device is called, so that what was measured on one is not believed of another.

use std::{fs, path::Path};

use weldfleet_settings::Provider;

/// The processor's or GPU's name; empty where the kernel does not tell.
pub fn name(provider: Provider, device_id: u32) -> String {
    match provider {
        Provider::Cpu | Provider::Auto | Provider::Openvino => processor(),
        Provider::Cuda | Provider::Tensorrt => gpu(device_id),
    }
    .unwrap_or_default()
}

fn processor() -> Option<String> {
    value_of(&fs::read_to_string("/proc/cpuinfo").ok()?, "model name")
}

/// The driver lists GPUs by bus address, which is the order CUDA numbers them in where they are alike.
fn gpu(device_id: u32) -> Option<String> {
    let entries = fs::read_dir(Path::new("/proc/driver/nvidia/gpus")).ok()?;
    let mut folders: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    folders.sort();
    let folder = folders.get(device_id as usize)?;
    value_of(
        &fs::read_to_string(folder.join("information")).ok()?,
        "Model",
    )
}

/// Of the first line `key : value`.
fn value_of(text: &str, key: &str) -> Option<String> {
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    let mut values = lines.filter(|(name, _)| name.trim() == key);
    values.next().map(|(_, value)| value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_kernels_and_the_drivers_lists() {
        let cpu = "processor\t: 0\nmodel name\t: AMD EPYC 9654\nmodel name\t: other\n";
        assert_eq!(value_of(cpu, "model name").unwrap(), "AMD EPYC 9654");
        let gpu = "Model: \t\t NVIDIA H100\nIRQ:   \t\t 16\n";
        assert_eq!(value_of(gpu, "Model").unwrap(), "NVIDIA H100");
        assert_eq!(value_of(gpu, "Serial"), None);
    }
}
