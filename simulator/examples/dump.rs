//! Writes simulated rows to stdout as ClickHouse RowBinary, for looking at them without the fleet:
//! `dump DAY ROWS SEED NOK_RATE [fixed:600|program] | clickhouse-client --query "INSERT … FORMAT RowBinary"`. With `-`
//! in place of DAY it only measures rows a second.

use std::io::Write;
use std::time::Instant;

use weldfleet_simulator::{CurveLength, SimulationOptions, Simulator};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let arg = |index: usize, default: &str| {
        args.get(index)
            .cloned()
            .unwrap_or_else(|| default.to_owned())
    };
    let measure_only = arg(1, "-") == "-";
    let day = if measure_only {
        20_260_101
    } else {
        arg(1, "").parse()?
    };
    let mut options = SimulationOptions::new(day, arg(2, "100000").parse()?, arg(3, "1").parse()?);
    options.nok_rate = arg(4, "0.006").parse()?;
    options.length = match arg(5, "fixed:600").split_once(':') {
        Some((_, points)) => CurveLength::Fixed(points.parse()?),
        None => CurveLength::Program,
    };
    let simulator = Simulator::new(options)?;
    #[expect(
        clippy::disallowed_methods,
        reason = "a stream of bytes whose errors are handled"
    )]
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let start = Instant::now();
    let mut buffer = Vec::new();
    for chunk in simulator.chunks(4096) {
        let block = simulator.block(chunk);
        if measure_only {
            continue;
        }
        for row in 0..block.rows() {
            buffer.clear();
            buffer.extend(block.record_id[row].to_le_bytes());
            buffer.extend(block.data_date.to_le_bytes());
            buffer.extend(block.time_ms[row].to_le_bytes());
            for text in [
                block.part_no[row],
                block.spot_name[row],
                block.timer_name[row],
            ] {
                put_text(&mut buffer, text);
            }
            for value in [block.umax[row], block.imax[row]] {
                buffer.extend(value.to_le_bytes());
            }
            for curve in [block.u_curve(row), block.i_curve(row)] {
                put_length(&mut buffer, curve.len());
                curve
                    .iter()
                    .for_each(|value| buffer.extend(value.to_le_bytes()));
            }
            put_text(&mut buffer, block.label[row].as_str());
            put_text(&mut buffer, block.defect[row].as_str());
            for column in [
                &block.measured_diameter,
                &block.measured_indentation,
                &block.measured_front_thickness,
                &block.measured_stack_thickness,
            ] {
                buffer.extend(column[row].to_le_bytes());
            }
            out.write_all(&buffer)?;
        }
    }
    out.flush()?;
    let seconds = start.elapsed().as_secs_f64();
    eprintln!("{:.0} rows/s", simulator.options().rows as f64 / seconds);
    Ok(())
}

fn put_text(buffer: &mut Vec<u8>, text: &str) {
    put_length(buffer, text.len());
    buffer.extend(text.as_bytes());
}

fn put_length(buffer: &mut Vec<u8>, mut length: usize) {
    while length >= 0x80 {
        buffer.push(length as u8 | 0x80);
        length >>= 7;
    }
    buffer.push(length as u8);
}
