//! What a graph declares, compared with what its configuration promises: names, types and shapes.

use anyhow::{bail, ensure};
use ort::{
    session::Session,
    value::{Outlet, TensorElementType, ValueType},
};
use weldfleet_weld::features::{CHANNELS, InferenceConfig, InputKind, REGRESSIONS, SCALARS_INPUT};

/// One dimension as the contract has it.
#[derive(Clone, Copy)]
enum Dimension {
    /// Any number, as many as a batch has; its name.
    Free(&'static str),
    Fixed(usize),
}

use Dimension::{Fixed, Free};

/// Compares names, types and shapes that the graph declares with the configuration.
///
/// # Errors
/// The first that is another one.
pub fn check(session: &Session, config: &InferenceConfig, shown: &str) -> anyhow::Result<()> {
    let mut inputs = match config.input_kind {
        InputKind::Features => vec![(
            "input",
            config.input.as_str(),
            TensorElementType::Float32,
            vec![Free("N"), Fixed(CHANNELS), Fixed(config.target_len)],
        )],
        InputKind::Raw => vec![
            (
                "input",
                config.input.as_str(),
                TensorElementType::Float32,
                vec![Free("S")],
            ),
            (
                "spans",
                config.spans.as_str(),
                TensorElementType::Int64,
                vec![Free("N"), Fixed(2)],
            ),
        ],
    };
    let numbers = config.scalars.len();
    if numbers > 0 {
        let shape = vec![Free("N"), Fixed(numbers)];
        inputs.push(("scalars", SCALARS_INPUT, TensorElementType::Float32, shape));
    }
    let names: Vec<&str> = session.inputs().iter().map(Outlet::name).collect();
    for (key, name, element, shape) in &inputs {
        let Some(input) = session.inputs().iter().find(|input| input.name() == *name) else {
            let said = match *key {
                "scalars" => format!("asks for {numbers} scalars, whose input is `{name}`"),
                key => format!("says {key} = \"{name}\""),
            };
            bail!("model `{shown}` has inputs {names:?}, but its inference_config.json {said}");
        };
        check_type("input", input, *element, shape, shown)?;
    }
    ensure!(
        names.len() == inputs.len(),
        "model `{shown}` has inputs {names:?}, but its inference_config.json knows only {:?}; a model that takes \
         curves as measured says input_kind = \"raw\", one that takes numbers of a weld names them in scalars",
        inputs.iter().map(|(_, name, ..)| name).collect::<Vec<_>>()
    );
    let outputs = [
        (&config.outputs.nok_prob, vec![Free("N")]),
        (
            &config.outputs.regression,
            vec![Free("N"), Fixed(REGRESSIONS)],
        ),
    ];
    for (name, shape) in &outputs {
        let Some(output) = session
            .outputs()
            .iter()
            .find(|output| output.name() == *name)
        else {
            let names: Vec<&str> = session.outputs().iter().map(Outlet::name).collect();
            bail!(
                "model `{shown}` has outputs {names:?}, but its inference_config.json names `{name}`"
            );
        };
        check_type("output", output, TensorElementType::Float32, shape, shown)?;
    }
    Ok(())
}

fn check_type(
    side: &str,
    outlet: &Outlet,
    wanted: TensorElementType,
    shape: &[Dimension],
    shown: &str,
) -> anyhow::Result<()> {
    let fits = match outlet.dtype() {
        ValueType::Tensor {
            ty, shape: told, ..
        } => {
            // A graph may leave a shape out, which looks like a scalar's; then only the trial tells.
            let fits = told.is_empty() || told.len() == shape.len();
            let mut dimensions = told.iter().zip(shape);
            let fits = fits
                && dimensions.all(|(told, wanted)| match wanted {
                    Free(_) => *told < 0,
                    Fixed(wanted) => *told < 0 || usize::try_from(*told) == Ok(*wanted),
                });
            *ty == wanted && fits
        }
        _ => false,
    };
    if fits {
        return Ok(());
    }
    let wanted_shape: Vec<String> = shape
        .iter()
        .map(|dimension| match dimension {
            Free(name) => (*name).to_owned(),
            Fixed(length) => length.to_string(),
        })
        .collect();
    bail!(
        "model `{shown}`: {side} `{}` is {}, but must be {} [{}]",
        outlet.name(),
        told(outlet.dtype()),
        element_name(wanted),
        wanted_shape.join(", ")
    )
}

/// A declared type as people write it.
fn told(declared: &ValueType) -> String {
    match declared {
        ValueType::Tensor {
            ty,
            shape,
            dimension_symbols,
        } => {
            let symbols = dimension_symbols
                .iter()
                .map(Some)
                .chain(std::iter::repeat(None));
            let dimensions: Vec<String> = shape
                .iter()
                .zip(symbols)
                .map(|(length, symbol)| match symbol {
                    _ if *length >= 0 => length.to_string(),
                    Some(symbol) if !symbol.is_empty() => symbol.clone(),
                    _ => "?".to_owned(),
                })
                .collect();
            format!("{} [{}]", element_name(*ty), dimensions.join(", "))
        }
        _ => "no tensor".to_owned(),
    }
}

fn element_name(element: TensorElementType) -> String {
    match element {
        TensorElementType::Float16 => "f16".to_owned(),
        TensorElementType::Float32 => "f32".to_owned(),
        TensorElementType::Float64 => "f64".to_owned(),
        TensorElementType::Int64 => "i64".to_owned(),
        other => other.to_string(),
    }
}
