//! `[curves]`: how a plant stores its curves and maxima.

use serde::{Deserialize, Serialize};

use crate::{BadValue, rounding::single};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum CurveVoltageUnit {
    #[default]
    V,
    #[serde(rename = "mV")]
    Millivolt,
    /// Percent of the row's own `umax`.
    #[serde(rename = "percent_of_umax")]
    PercentOfUmax,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum CurveCurrentUnit {
    #[default]
    #[serde(rename = "kA")]
    Kiloampere,
    A,
    /// Percent of the row's own `imax`.
    #[serde(rename = "percent_of_imax")]
    PercentOfImax,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum VoltageUnit {
    #[default]
    V,
    #[serde(rename = "mV")]
    Millivolt,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum CurrentUnit {
    #[default]
    #[serde(rename = "kA")]
    Kiloampere,
    A,
}

/// The `[curves]` section. Inside the fleet everything is V, kA, ms, hence mΩ, kW, J.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CurveUnits {
    /// Time between two samples, ms.
    pub sample_interval_ms: f64,
    pub u_unit: CurveVoltageUnit,
    pub i_unit: CurveCurrentUnit,
    pub umax_unit: VoltageUnit,
    pub imax_unit: CurrentUnit,
    /// What a stored sample of `u_curve` is multiplied with to be in `u_unit`.
    pub u_scale: f64,
    /// The same of `i_curve` and `i_unit`.
    pub i_scale: f64,
    /// The same of `umax` and `umax_unit`.
    pub umax_scale: f64,
    /// The same of `imax` and `imax_unit`.
    pub imax_scale: f64,
}

impl Default for CurveUnits {
    fn default() -> Self {
        Self {
            sample_interval_ms: 1.0,
            u_unit: CurveVoltageUnit::default(),
            i_unit: CurveCurrentUnit::default(),
            umax_unit: VoltageUnit::default(),
            imax_unit: CurrentUnit::default(),
            u_scale: 1.0,
            i_scale: 1.0,
            umax_scale: 1.0,
            imax_scale: 1.0,
        }
    }
}

impl CurveUnits {
    /// # Errors
    /// If `sample_interval_ms` is not within 0.01 to 20, or a scale not within 1e-9 to 1e9.
    pub fn check(&self) -> Result<(), BadValue> {
        BadValue::unless(
            (0.01..=20.0).contains(&self.sample_interval_ms),
            "sample_interval_ms",
            self.sample_interval_ms,
            "give the time between two samples in ms, from 0.01 to 20",
        )?;
        for (key, scale) in [
            ("u_scale", self.u_scale),
            ("i_scale", self.i_scale),
            ("umax_scale", self.umax_scale),
            ("imax_scale", self.imax_scale),
        ] {
            BadValue::unless(
                (1e-9..=1e9).contains(&scale),
                key,
                scale,
                "give what a stored value is multiplied with to be in its unit, above 0",
            )?;
        }
        Ok(())
    }

    /// `umax` of a row in V.
    #[must_use]
    pub fn umax_volts(&self, umax: f32) -> f32 {
        let umax = scaled(umax, self.umax_scale);
        match self.umax_unit {
            VoltageUnit::V => umax,
            VoltageUnit::Millivolt => umax / 1000.0,
        }
    }

    /// `imax` of a row in kA.
    #[must_use]
    pub fn imax_kiloamperes(&self, imax: f32) -> f32 {
        let imax = scaled(imax, self.imax_scale);
        match self.imax_unit {
            CurrentUnit::Kiloampere => imax,
            CurrentUnit::A => imax / 1000.0,
        }
    }

    /// What a sample of `u_curve` is multiplied with (in `f32`) to be V; `umax_volts` is the row's `umax` in V.
    #[must_use]
    pub fn u_factor(&self, umax_volts: f32) -> f32 {
        let factor = match self.u_unit {
            CurveVoltageUnit::V => 1.0,
            CurveVoltageUnit::Millivolt => 0.001,
            CurveVoltageUnit::PercentOfUmax => umax_volts / 100.0,
        };
        scaled(factor, self.u_scale)
    }

    /// What a sample of `i_curve` is multiplied with (in `f32`) to be kA; `imax_kiloamperes` is the row's `imax` in kA.
    #[must_use]
    pub fn i_factor(&self, imax_kiloamperes: f32) -> f32 {
        let factor = match self.i_unit {
            CurveCurrentUnit::Kiloampere => 1.0,
            CurveCurrentUnit::A => 0.001,
            CurveCurrentUnit::PercentOfImax => imax_kiloamperes / 100.0,
        };
        scaled(factor, self.i_scale)
    }
}

/// The product, rounded once.
fn scaled(value: f32, scale: f64) -> f32 {
    single(f64::from(value) * scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_unit_of_the_contract() {
        let units: CurveUnits = toml::from_str(
            "sample_interval_ms = 0.5\nu_unit = \"percent_of_umax\"\ni_unit = \"A\"\numax_unit = \"mV\"\nimax_unit = \"A\"",
        )
        .unwrap();
        assert_eq!(units.umax_volts(2500.0), 2.5);
        assert_eq!(units.u_factor(2.5), 0.025);
        assert_eq!(units.imax_kiloamperes(9000.0), 9.0);
        assert_eq!(units.i_factor(9.0), 0.001);
        for (key, unit) in [
            ("u_unit", "V"),
            ("u_unit", "mV"),
            ("i_unit", "kA"),
            ("i_unit", "percent_of_imax"),
            ("umax_unit", "V"),
            ("imax_unit", "kA"),
        ] {
            toml::from_str::<CurveUnits>(&format!("{key} = \"{unit}\"")).unwrap();
        }
    }

    #[test]
    fn a_scale_comes_before_the_unit() {
        // Tens of ampere, and counts of 1 % of the row's own maxima.
        let units: CurveUnits = toml::from_str(
            "imax_unit = \"A\"\nimax_scale = 10\ni_unit = \"percent_of_imax\"\nu_unit = \"percent_of_umax\"",
        )
        .unwrap();
        assert_eq!(units.imax_kiloamperes(952.0), 9.52);
        assert_eq!(units.i_factor(9.52), 0.0952);
        let units: CurveUnits =
            toml::from_str("u_scale = 0.01\numax_scale = 0.001\ni_scale = 2.5").unwrap();
        assert_eq!(units.umax_volts(1620.0), 1.62);
        assert_eq!((units.u_factor(1.62), units.i_factor(9.0)), (0.01, 2.5));
    }

    #[test]
    fn refuses_unknown_units_keys_and_intervals() {
        let error = toml::from_str::<CurveUnits>("u_unit = \"kV\"")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("unknown variant `kV`") && error.contains("percent_of_umax"),
            "{error}"
        );
        assert!(toml::from_str::<CurveUnits>("u_units = \"V\"").is_err());
        for bad in [0.0, -1.0, f64::NAN, 21.0] {
            let units = CurveUnits {
                sample_interval_ms: bad,
                ..CurveUnits::default()
            };
            let error = units.check().unwrap_err();
            assert_eq!(error.key, "sample_interval_ms");
        }
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let units = CurveUnits {
                imax_scale: bad,
                ..CurveUnits::default()
            };
            assert_eq!(units.check().unwrap_err().key, "imax_scale");
        }
        CurveUnits::default().check().unwrap();
    }
}
