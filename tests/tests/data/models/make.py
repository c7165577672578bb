#!/usr/bin/env python3
"""Writes the small models beside it: one that keeps to the interface, and others that each break it in one way.

    pip install onnx==1.23.2 && ./make.py

Each takes f32 [N, 4, 100] and answers the means over time as millimetres, unless its name says otherwise.
"""

import json
import shutil
from pathlib import Path

import numpy as np
from onnx import TensorProto, external_data_helper, helper, numpy_helper, save

HERE = Path(__file__).parent
LENGTH = 100
F16, F32, F64 = TensorProto.FLOAT16, TensorProto.FLOAT, TensorProto.DOUBLE


def node(kind, inputs, output, **attributes):
    return helper.make_node(kind, inputs.split(), output.split(), **attributes)


def value(name, shape, element=F32):
    return helper.make_tensor_value_info(name, element, shape)


def constant(name, values, element=np.float32):
    return numpy_helper.from_array(np.array(values, dtype=element), name)


# One probability for all, and the means of U, I, R, P.
PROBABILITY = [node("ReduceMean", "curves", "mean", axes=[1, 2], keepdims=0), node("Mul", "mean zero", "none"),
               node("Add", "none third", "nok_prob")]
MEANS = [node("ReduceMean", "curves", "regression", axes=[2], keepdims=0)]
CURVES = value("curves", ["N", 4, LENGTH])
NOK = value("nok_prob", ["N"])
REGRESSION = value("regression", ["N", 4])


def write(name, nodes, inputs=(CURVES,), outputs=(NOK, REGRESSION), constants=(), external=False, **more):
    constants = [constant("zero", 0), constant("third", 0.3), *constants]
    used = {name for one in nodes for name in one.input}
    constants = [one for one in constants if one.name in used]
    graph = helper.make_graph(list(nodes), "g", list(inputs), list(outputs), constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    folder = HERE / name / "global"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if external:
        external_data_helper.convert_model_to_external_data(
            model, location="model.onnx.data", size_threshold=0, convert_attribute=False)
    save(model, folder / "model.onnx")
    config = {"model_version": name, "target_len": LENGTH, "fit": "resample", "channels": ["U", "I", "R", "P"],
              "scale": [1, 1, 1, 1], "nok_threshold": 0.5, **more}
    (folder / "inference_config.json").write_text(json.dumps(config) + "\n", encoding="utf-8")


def main():
    write("good", PROBABILITY + MEANS)
    # The weights beside the graph, as PyTorch's exporter leaves them.
    scaled = [node("ReduceMean", "curves", "means", axes=[2], keepdims=0), node("Mul", "means weights", "regression")]
    weights = constant("weights", [1, 2, 3, 4])
    write("external", PROBABILITY + scaled, constants=[weights], external=True)

    # Fed with numbers of a weld besides: a hundredth of one is the probability, less a tenth, the other is added to the means.
    fed = [node("MatMul", "scalars hundredth", "column"), node("Squeeze", "column second", "of_row"),
           node("ReduceMean", "curves", "mean", axes=[1, 2], keepdims=0), node("Mul", "mean zero", "none"),
           node("Add", "of_row none", "shifted"), node("Add", "shifted tenth", "nok_prob"),
           node("ReduceMean", "curves", "means", axes=[2], keepdims=0), node("MatMul", "scalars other", "umax"),
           node("Add", "means umax", "regression")]
    write("scalars", fed, inputs=[CURVES, value("scalars", ["N", 2])], scalars=["tip_dress_count", "umax"], scalars_missing=50,
          constants=[constant("hundredth", [[0.01], [0]]), constant("other", [[0], [1]]), constant("tenth", 0.1),
                     constant("second", [1], np.int64)])
    write("scalars-untold", fed, inputs=[CURVES, value("scalars", ["N", 3])], scalars=["tip_dress_count", "umax"],
          constants=[constant("hundredth", [[0.01], [0], [0]]), constant("other", [[0], [1], [0]]), constant("tenth", 0.1),
                     constant("second", [1], np.int64)])

    # Shapes.
    means = node("ReduceMean", "curves", "means", axes=[2], keepdims=0)
    transposed = [means, node("Transpose", "means", "regression", perm=[1, 0])]
    write("transposed", PROBABILITY + transposed, outputs=[NOK, value("regression", [4, "N"])])
    # How many rows are picked is known only when it runs, so that no shape can be inferred.
    picked = [means, node("Transpose", "means", "turned", perm=[1, 0]),
              node("ReduceMean", "curves", "of_channel", axes=[0, 2], keepdims=0), node("Greater", "of_channel least", "all"),
              node("NonZero", "all", "which"), node("Squeeze", "which first", "rows"),
              node("Gather", "turned rows", "regression", axis=0)]
    write("transposed-untold", PROBABILITY + picked, outputs=[NOK, value("regression", ["A", "B"])],
          constants=[constant("least", -1e9), constant("first", [0], np.int64)])
    column = PROBABILITY[:2] + [node("Add", "none third", "flat")]
    shaped = [node("Reshape", "flat shape", "nok_prob")]
    write("probability-column", column + shaped + MEANS, constants=[constant("shape", [-1, 1], np.int64)],
          outputs=[value("nok_prob", ["N", 1]), REGRESSION])
    write("probability-row", column + shaped + MEANS, constants=[constant("shape", [1, -1], np.int64)],
          outputs=[value("nok_prob", [1, "N"]), REGRESSION])
    scalar = [node("ReduceMean", "curves", "mean", keepdims=0), node("Mul", "mean zero", "none"),
              node("Add", "none third", "nok_prob")]
    write("probability-scalar", scalar + MEANS, outputs=[value("nok_prob", []), REGRESSION])
    write("swapped", [node("ReduceMean", "curves", "nok_prob", axes=[2], keepdims=0), *PROBABILITY[:2],
                      node("Add", "none third", "regression")],
          outputs=[value("nok_prob", ["N", 4]), value("regression", ["N"])])
    last = value("curves", ["N", LENGTH, 4])
    write("channels-last", PROBABILITY + [node("ReduceMean", "curves", "regression", axes=[1], keepdims=0)], inputs=[last])
    five = [means, node("Reshape", "mean shape", "column"), node("Concat", "means column", "regression", axis=1)]
    write("five-values", PROBABILITY + five, constants=[constant("shape", [-1, 1], np.int64)],
          outputs=[NOK, value("regression", ["N", 5])])
    write("one-row", PROBABILITY + MEANS, inputs=[value("curves", [1, 4, LENGTH])],
          outputs=[value("nok_prob", [1]), value("regression", [1, 4])])

    # Judges no batch with a value above 20 in it: what is picked then is not there.
    picky = [node("ReduceMax", "curves", "most", keepdims=0), node("Greater", "most twenty", "above"),
             node("Cast", "above", "which", to=TensorProto.INT64), node("Gather", "one which", "nothing", axis=0),
             node("Add", "of_curves nothing", "nok_prob")]
    write("fails-above-20", [*PROBABILITY[:2], node("Add", "none third", "of_curves"), *picky, *MEANS],
          constants=[constant("twenty", 20), constant("one", [0])])

    # Takes the root of what is below 0 for every weld.
    write("no-number", PROBABILITY + [means, node("Neg", "means", "below"), node("Sqrt", "below", "regression")])

    # Types and inputs.
    write("f64", PROBABILITY + [means, node("Cast", "means", "regression", to=F64)],
          outputs=[NOK, value("regression", ["N", 4], F64)])
    write("f16", column + [node("Cast", "flat", "nok_prob", to=F16)] + MEANS,
          outputs=[value("nok_prob", ["N"], F16), REGRESSION])
    write("one-more-input", PROBABILITY + [means, node("Mul", "means force", "regression")],
          inputs=[CURVES, value("force", ["N", 1])])

    # A row's values that depend on its batch.
    quantised = [node("DynamicQuantizeLinear", "curves", "quantised scale offset"),
                 node("DequantizeLinear", "quantised scale offset", "again"),
                 node("ReduceMean", "again", "regression", axes=[2], keepdims=0)]
    write("dynamic", PROBABILITY + quantised)
    normalised = [means, node("ReduceMean", "means", "of_batch", axes=[0], keepdims=1),
                  node("Sub", "means of_batch", "regression")]
    write("normalised-by-batch", PROBABILITY + normalised)
    # Only what follows a batch's tenth row counts, so that no small batch shows it.
    beyond = [means, node("Slice", "means ten end first", "later"),
              node("ReduceSum", "later first", "of_later", keepdims=1), node("Add", "means of_later", "regression")]
    write("tenth-neighbour", PROBABILITY + beyond,
          constants=[constant("ten", [10], np.int64), constant("end", [2**31], np.int64), constant("first", [0], np.int64)])


if __name__ == "__main__":
    main()
