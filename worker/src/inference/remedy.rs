//! What to do where a session cannot be had or its first run fails, read off the text: ONNX Runtime has no codes that
//! would tell these apart.

use weldfleet_settings::Provider;

/// How ONNX Runtime and the devices' libraries say that there is no memory left.
const NO_MEMORY: [&str; 5] = [
    "bad_alloc",
    "out of memory",
    "Failed to allocate",
    "Available memory of",
    "ALLOC_FAILED",
];
/// How it says that a model is younger than itself: behind the words stands the newest that it takes.
const TOO_NEW: [(&str, &str); 2] = [
    ("max supported IR version: ", "IR version"),
    (" is till opset ", "opset"),
];
/// How it says that TensorRT gets only parts of a graph, whose shapes nobody told it.
const IN_PARTS: &str = "shape profile";

/// Whether it was memory that lacked.
pub fn is_out_of_memory(error: &anyhow::Error) -> bool {
    let text = format!("{error:#}");
    NO_MEMORY.iter().any(|words| text.contains(words))
}

/// The error with what must be done, or installed for the provider.
pub fn with_remedy(provider: Provider, error: anyhow::Error) -> anyhow::Error {
    let remedy = remedy(provider, &error);
    error.context(remedy)
}

fn remedy(provider: Provider, error: &anyhow::Error) -> String {
    if is_out_of_memory(error) {
        return "out of memory: each of model.threads opens its own session of each model that its rows ask for; \
                give it more memory or fewer threads"
            .to_owned();
    }
    let text = format!("{error:#}");
    if let Some(newest) = newest(&text) {
        return format!(
            "the model is newer than this ONNX Runtime, which takes {newest} at most: export it for an older opset"
        );
    }
    match provider {
        Provider::Tensorrt if text.contains(IN_PARTS) => {
            "TensorRT takes only part of this model; use model.provider = \"cuda\""
        }
        Provider::Cuda => "the CUDA provider needs an NVIDIA driver, CUDA 13 and cuDNN 9",
        Provider::Tensorrt => {
            "the TensorRT provider needs an NVIDIA driver, CUDA 13, cuDNN 9 and TensorRT 10"
        }
        Provider::Openvino => {
            "OpenVINO must know every operator of the model; model.provider = \"cpu\" takes what it does not"
        }
        Provider::Auto | Provider::Cpu => "the file must be an ONNX model",
    }
    .to_owned()
}

/// `opset 26`, where the text says that a model is newer.
fn newest(text: &str) -> Option<String> {
    TOO_NEW.iter().find_map(|(before, what)| {
        let (_, rest) = text.split_once(before)?;
        let number: String = rest.chars().take_while(char::is_ascii_digit).collect();
        Some(format!("{what} {number}"))
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use weldfleet_testkit::{onnxruntime_library, repository};

    use super::*;
    use crate::inference::{Models, layout::Layout};

    fn said(provider: Provider, text: &'static str) -> String {
        remedy(provider, &anyhow::anyhow!(text))
    }

    #[test]
    fn where_there_is_no_memory_that_is_said_and_not_that_the_file_is_no_model() {
        for provider in [Provider::Cpu, Provider::Cuda] {
            let said = said(provider, "Exception during initialization: std::bad_alloc");
            assert!(said.starts_with("out of memory"), "{said}");
        }
        let broken = said(Provider::Cpu, "Protobuf parsing failed");
        assert_eq!(broken, "the file must be an ONNX model");
    }

    #[test]
    fn a_model_that_tensorrt_takes_in_parts_is_sent_to_cuda() {
        let text =
            "in this case, user also needs to provide shape profiles for the TRT subgraph's input";
        assert!(said(Provider::Tensorrt, text).contains("use model.provider = \"cuda\""));
        assert!(said(Provider::Cuda, text).contains("needs an NVIDIA driver"));
    }

    /// By ONNX Runtime itself, of a model whose bytes say a later version.
    #[test]
    fn a_newer_model_is_said_to_be_newer_and_what_is_taken_is_named() {
        // Field 1, and field 8 with the empty domain's version: 8 and 17.
        let (ir_version, opset) = ([0x08, 8], [0x42, 0x04, 0x0a, 0x00, 0x10, 17]);
        let from = repository().join("tests/tests/data/models/good/global");
        for (bytes, said) in [
            (&ir_version[..], ", which takes IR version "),
            (&opset[..], ", which takes opset "),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let to = folder.path().join("global");
            fs::create_dir(&to).unwrap();
            let config = "inference_config.json";
            fs::copy(from.join(config), to.join(config)).unwrap();
            let mut model = fs::read(from.join("model.onnx")).unwrap();
            let at = model.windows(bytes.len()).position(|some| some == bytes);
            model[at.unwrap() + bytes.len() - 1] = 99;
            fs::write(to.join("model.onnx"), model).unwrap();
            let models = Models::in_folder(&onnxruntime_library(), folder.path());
            let layout = Layout {
                sessions: 1,
                threads: 1,
                batch_rows: 1,
            };
            let refused = format!("{:#}", models.open_global(layout).err().unwrap());
            assert!(
                refused.contains(said) && refused.contains("export it for an older opset"),
                "{refused}"
            );
        }
    }
}
