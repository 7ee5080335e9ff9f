"""The quality files of a simulated product: solar irradiances as measured, the instrument's state at usual values."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, NamedTuple

import numpy as np

from preprocess.simulation.orbit import orbit_at
from preprocess.simulation.plan import ProductPlan
from preprocess.simulation.schema import (
    FILL_I2,
    VIEW,
    ProductFile,
    Variable,
    grid_attributes,
    iso,
    viscal_attributes,
)

IRRADIANCES = (
    1858.9535872788435,
    1538.2189188291804,
    968.199186323187,
    370.0846747822142,
    248.21449494245832,
    78.34747676165054,
)
"""Of S1-S6, mW m-2 nm-1: S{c}_quality_an.nc of the measured product; all detectors alike, the same in every product."""
VISCAL_IRRADIANCES = (1859.0276, 1538.2802, 968.23773, 370.0994, 248.22437, 78.35059)
"""What viscal.nc of the same product says: not quite the same."""
BANDS_UM = (
    (0.55427, 0.01926), (0.65947, 0.01925), (0.868, 0.0206), (1.3748, 0.0208), (1.6134, 0.06068), (2.2557, 0.05015),
    (3.742, 0.398), (10.854, 0.776), (12.0225, 0.905),
)  # fmt: skip
"""Centre and width of S1-S9 in micrometres (the measured files call the unit m)."""
SOLAR_STEPS = ((300, 2.0), (250, 2.0), (300, 1.0), (250, 0.5), (250, 0.3), (250, 0.1))
"""Number and spacing of the radiances that uncertainties are given for."""
THERMAL_STEPS = (64, 200.0, 2.0)
VISCAL_NAMES = ("555nm", "659nm", "865nm", "1.375microm", "1.61microm", "2.25microm")
CALIBRATED_BEFORE = timedelta(minutes=46)

NAN = float("nan")
W, V, MW, UM = "W m-2 sr-1", "V", "mW m^-2 sr^-1 nm^-1", "radiation_wavelength"
ONE, ROWS, DET = ("one",), ("rows",), ("detectors",)
DET_ROWS, DET_INT, DET_INT_ROWS = (
    ("detectors", "rows"),
    ("detectors", "integrators"),
    ("detectors", "integrators", "rows"),
)
DET_UNC, UNC = ("detectors", "uncertainties"), ("uncertainties",)


class _Entry(NamedTuple):
    """A variable as the measured file has it; `value` fills it, None: with fill values."""

    name: str
    dimensions: tuple[str, ...]
    fill: float
    long_name: str
    units: str
    value: float | None
    valid: tuple[float, float] | None = None
    standard_name: str = ""


_SOLAR = (
    _Entry("FEE_offset", ROWS, -1.0, "Voltage offset added to detector signal", V, 0.516),
    _Entry("L_BB", DET_ROWS, -1.0, "Radiance from cold BB", MW, 0.0),
    _Entry("L_VISCAL", DET, -1.0, "VISCAL radiance", MW, 21.162),
    _Entry("T_detector", ROWS, -1.0, "Detector temperature", "K", 84.25),
    _Entry("cal_gain", DET_INT, -1.0, "Scale factor multiplying detector count", W, 1.7716e-05),
    _Entry("cal_offset", DET_INT_ROWS, -1.0, "Offset added to scaled detector count", W, 3279.9),
    _Entry("dL_BB", DET_INT_ROWS, -1.0, "Radiance noise from cold BB", MW, 0.069731),
    _Entry("dL_VISCAL", DET_INT, -1.0, "VISCAL radiance noise", MW, 0.12997),
    _Entry("du_t_start", ONE, 0.0, "Delay in start of integration", "us", 2.3),
    _Entry("radiometric_uncertainty", DET_UNC, NAN, "Radiometric Uncertainty Estimate at Lref", MW, 0.0),
)
_VISIBLE = (_Entry("FEE_gain", ONE, 0.0, "Voltage gain added to detector signal", V, 1.0),)
_SHORTWAVE = (
    _Entry("FEE_voltage_reference", ROWS, NAN, "Voltage reference added to detector signal", V, 1.7231, (0.0, 4095.0)),
    _Entry("T_det_coarse", ROWS, -1.0, "Coarse detector temperature", "K", 84.113, (50.0, 400.0)),
    _Entry("du_int_Time", ONE, 0.0, "Adjustable integration time", "us", 35.0),
)
_VOLTS, _FROM_MINUS_TEN = (0.0, 16383.0), (-10.0, 16383.0)
_THERMAL = (
    _Entry("BB1_reference_1", ROWS, -1.0, "BB1 Reference resistor 1 voltage", V, 6.908, _FROM_MINUS_TEN),
    _Entry("BB1_reference_2", ROWS, -1.0, "BB1 Reference resistor 2 voltage", V, 6.9004, _FROM_MINUS_TEN),
    _Entry("BB2_reference_1", ROWS, -1.0, "BB2 Reference resistor 1 voltage", V, 6.9006, _FROM_MINUS_TEN),
    _Entry("BB2_reference_2", ROWS, -1.0, "BB2 Reference resistor 2 voltage", V, 6.879, _FROM_MINUS_TEN),
    _Entry("BBEU_5VRef", ROWS, -1.0, "BBEU +5V Reference", V, None, _VOLTS),
    _Entry("BBEU_Bridge_Ref", ROWS, -1.0, "BBEU Bridge Reference", V, None, _VOLTS),
    _Entry("BBEU_ground", ROWS, -1.0, "BBEU Ground Reference", V, None, _VOLTS),
    _Entry("FEE_offset", DET_ROWS, -1.0, "Voltage offset added to detector signal", "volt", 0.27794),
    _Entry("TAEO_5V_scale", ROWS, -1.0, "TAEO plus 5V internal reference voltage", V, 4905.8, _VOLTS),
    _Entry("TAEO_MVPRTH_scale", ROWS, -1.0, "TAEO minus VPRT internal reference voltage", V, None, _VOLTS),
    _Entry("TAEO_PVPRTH_scale", ROWS, -1.0, "TAEO plus VPRT internal reference voltage", V, None, _VOLTS),
    _Entry("TAEO_VPRT_scale", ROWS, -1.0, "TAEO VPRT internal reference voltage", V, 0.0, _VOLTS),
    _Entry("T_BB1", ROWS, -1.0, "Black body temperature 1", "K", 302.83),
    _Entry("T_BB2", ROWS, -1.0, "Black body temperature 2", "K", 265.39),
    _Entry("T_det_coarse", ROWS, -1.0, "Coarse detector temperature", "K", 85.18, (50.0, 400.0)),
    _Entry("T_detector", ROWS, -1.0, "Detector temperature", "K", 85.28),
    _Entry("cal_gain", DET_INT_ROWS, -1.0, "Scale factor multiplying detector count", W, 0.00021786),
    _Entry("cal_offset", DET_INT_ROWS, -1.0, "Offset added to scaled detector count", W, 1.0048),
    _Entry("dT_BB1", DET_INT_ROWS, -1.0, "Black body 1 noise equivalent brightness temperature", "K", 0.012),
    _Entry("dT_BB2", DET_INT_ROWS, -1.0, "Black body 2 noise equivalent brightness temperature", "K", 0.0136),
    _Entry("du_int_Time", ONE, 0.0, "Adjustable integration time", "us", 70.0),
    _Entry("du_t_start", ONE, 0.0, "Delay in start of integration", "us", 5.0, (0.0, 80.0)),
    _Entry(
        "radiometric_uncertainty", DET_UNC, NAN, "IR channel radiometric uncertainty estimate at Tref (270K)", "K", 0.0
    ),
)
_S7_ONLY = (
    _Entry("FEE_voltage_reference", ROWS, NAN, "Voltage reference added to detector signal", V, 1.7229, _VOLTS),
    _Entry("VDG", ROWS, NAN, "VDG value for S7 detector", V, 1.7725, _VOLTS),
)
_S8_S9_ONLY = (_Entry("V_Bias", ROWS, NAN, "Detector Voltage Bias", V, 8.5517, _VOLTS),)


def quality_files(plan: ProductPlan, start_offset: int) -> Iterator[ProductFile]:
    """S1..S6_quality_an.nc, S7..S9_quality_in.nc and viscal.nc."""
    for channel in range(1, 7):
        yield _solar_file(plan, channel, start_offset)
    for channel in range(7, 10):
        yield _thermal_file(plan, channel, start_offset)
    yield _viscal_file(plan)


def _solar_file(plan: ProductPlan, channel: int, start_offset: int) -> ProductFile:
    steps, step = SOLAR_STEPS[channel - 1]
    sizes = {"detectors": 4, "integrators": 2, "one": 1, "rows": 2 * plan.rows, "uncertainties": steps}
    entries = _SOLAR + (_VISIBLE if channel <= 3 else _SHORTWAVE)
    name, long_name = f"S{channel}_scene_radiance_an", "Scene radiance for VIS-SWIR channel calibration uncertainty"
    irradiance = np.full(4, IRRADIANCES[channel - 1])
    about = {"long_name": "Solar irradiance at top of atmosphere", "units": "mW m^-2 nm^-1"}
    radiances = {"long_name": f"{long_name} estimates", "units": "mW m^-2 nm^-1"}
    variables = (
        *_shared(channel, "an", entries, sizes),
        Variable(name, UNC, step * np.arange(1.0, steps + 1), NAN, radiances),
        Variable(f"S{channel}_solar_irradiance_an", DET, irradiance, NAN, about),
    )
    return ProductFile(f"S{channel}_quality_an.nc", grid_attributes(plan, "an", start_offset), sizes, variables)


def _thermal_file(plan: ProductPlan, channel: int, start_offset: int) -> ProductFile:
    steps, first, step = THERMAL_STEPS
    sizes = {"detectors": 2, "integrators": 2, "one": 1, "rows": plan.rows, "uncertainties": steps}
    entries = _THERMAL + (_S7_ONLY if channel == 7 else _S8_S9_ONLY)
    about = {"long_name": "Scene temperature for IR channel uncertainty estimates", "units": "K"}
    scene = Variable(f"S{channel}_scene_temperature_in", UNC, first + step * np.arange(steps), NAN, about)
    variables = (*_shared(channel, "in", entries, sizes), scene)
    return ProductFile(f"S{channel}_quality_in.nc", grid_attributes(plan, "in", start_offset), sizes, variables)


def _shared(channel: int, grid: str, entries: tuple[_Entry, ...], sizes: dict[str, int]) -> Iterator[Variable]:
    """The table's entries, the band and the oversampling factor, which every quality file has."""
    centre, width = BANDS_UM[channel - 1]
    view = VIEW[grid].replace("A stripe grid", "A stripe")
    long_name = f"Detector filter band centre for channel S{channel} ({view})"
    band = (
        _Entry("band_centre", DET, NAN, long_name, "m", centre, None, UM),
        _Entry("bandwidth", DET, NAN, "", "m", width, None, UM),
    )
    for entry in entries + band:
        shape = tuple(sizes[dimension] for dimension in entry.dimensions)
        data = np.full(shape, entry.fill if entry.value is None else entry.value)
        yield Variable(f"S{channel}_{entry.name}_{grid}", entry.dimensions, data, entry.fill, _attributes(entry))
    about = {"long_name": "Oversampling factor used in detector readings"}
    factor = np.full(sizes["rows"], 8, np.int16)
    yield Variable(f"S{channel}_FEE_oversampling_factor_{grid}", ROWS, factor, FILL_I2, about)


def _attributes(entry: _Entry) -> dict[str, Any]:
    texts = {"long_name": entry.long_name, "standard_name": entry.standard_name, "units": entry.units}
    attributes: dict[str, Any] = {name: text for name, text in texts.items() if text}
    if entry.valid is not None:
        attributes |= {"valid_max": np.float64(entry.valid[1]), "valid_min": np.float64(entry.valid[0])}
    return attributes


def _viscal_file(plan: ProductPlan) -> ProductFile:
    sizes = {"integrators": 2, "one": 1, "swir_detectors": 8, "views": 2, "visible_detectors": 4}
    variables = []
    for channel, (band, irradiance) in enumerate(zip(VISCAL_NAMES, VISCAL_IRRADIANCES, strict=True), start=1):
        detectors = "visible_detectors" if channel <= 3 else "swir_detectors"
        by_view = np.full((sizes[detectors], 2), irradiance, np.float32)
        for name, text, value in (
            ("BB1_SD", "BB1 noise counts", 33.0),
            ("BB1_means", "BB1 average counts", 2400.0),
            ("VISCAL_SD", "VISCAL noise counts", 50.0),
            ("VISCAL_means", "VISCAL average counts", 15000.0),
            ("slopes", "slopes", 1.5e-5),
        ):
            data = np.full((sizes[detectors], 2, 2), value, np.float32)
            dimensions = (detectors, "views", "integrators")
            variables.append(Variable(f"S{channel}_{name}", dimensions, data, NAN, {"long_name": f"{band} {text}"}))
        about = {"long_name": f"{band} solar irradiances", "units": "mW m-2 nm-1"}
        variables.append(Variable(f"S{channel}_solar_irradiances", (detectors, "views"), by_view, NAN, about))
    for name, text, value in (("SD", "noise", 0.005), ("mean", "average", 0.0014)):
        about = {"long_name": f"Monitor diode {text} counts"}
        variables.append(Variable(f"monitor_{name}", ONE, np.full(1, value, np.float32), NAN, about))
    variables += _viscal_times(plan)
    return ProductFile("viscal.nc", viscal_attributes(plan), sizes, tuple(variables))


def _viscal_times(plan: ProductPlan) -> list[Variable]:
    form = "in the UTC YYYY-MM-DDThh:mm:ss.ddddddZ CCSDS format"
    moments = (
        ("ANX_time", "ascending node crossing", orbit_at(plan.platform, plan.start).node),
        ("calibration_time", "calibration", plan.start - CALIBRATED_BEFORE),
    )
    return [
        Variable(name, ONE, [iso(moment)], None, {"long_name": f"Time of {text} {form}", "standard_name": "time"})
        for name, text, moment in moments
    ]
