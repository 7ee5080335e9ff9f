"""xfdumanifest.xml of a simulated product: what is in it, with sizes and MD5 sums, in the structure of the real one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple
from xml.sax.saxutils import escape

import numpy as np

from preprocess.simulation.geometry import Geometry
from preprocess.simulation.plan import FRAME_S, ProductPlan
from preprocess.simulation.schema import iso

MANIFEST = "xfdumanifest.xml"
SATELLITE_IDS = {"A": "2016-011A", "B": "2018-039A"}
"""COSPAR identifiers of Sentinel-3A and -3B."""
FOOTPRINT_POINTS = 8
"""Points along each side of the footprint."""
GRIDS = (("1 km", 1), ("0.5 km stripe A", 2))
"""Grids whose sizes are told, and how much finer than 1 km."""
NAMESPACES = " ".join(
    f'xmlns:{prefix}="{uri}"'
    for prefix, uri in (
        ("xfdu", "urn:ccsds:schema:xfdu:1"),
        ("sentinel-safe", "http://www.esa.int/safe/sentinel/1.1"),
        ("gml", "http://www.opengis.net/gml"),
        ("sentinel3", "http://www.esa.int/safe/sentinel/sentinel-3/1.0"),
        ("slstr", "http://www.esa.int/safe/sentinel/sentinel-3/slstr/1.0"),
    )
)


class Member(NamedTuple):
    """A file of the product: name, size in bytes, MD5 sum (hex)."""

    name: str
    size: int
    md5: str


def make_manifest(geometry: Geometry, members: Sequence[Member], oblique: Geometry | None = None) -> str:
    """The manifest's text. Elements and their order are those of the measured product's manifest, less what says
    nothing of a simulated one (processing history, ephemeris, pixel statistics). `oblique`: that view's own grid.
    """
    plan = geometry.plan
    units = "\n".join(_content_unit(member) for member in members)
    metadata = "\n".join(
        _metadata(identity, text, body)
        for identity, text, body in (
            ("acquisitionPeriod", "Acquisition Period", _acquisition_period(plan)),
            ("platform", "Platform Description", _platform(plan)),
            ("measurementFrameSet", "Frame Set", _frame_set(geometry)),
            ("generalProductInformation", "General Product Information", _general(plan, members)),
            ("slstrProductInformation", "Slstr Product Information", _image_sizes(geometry, oblique)),
            ("measurementOrbitReference", "Orbit Reference", _orbit(plan)),
            ("measurementQualityInformation", "Quality Information", _quality()),
        )
    )
    objects = "\n".join(_data_object(member) for member in members)
    return f"""<?xml version ="1.0" encoding="UTF-8"?>
   <xfdu:XFDU {NAMESPACES} version="esa/safe/sentinel/sentinel-3/slstr/level-1/1.0">
      <informationPackageMap>
         <xfdu:contentUnit ID="packageUnit" unitType="Information Package" textInfo="SENTINEL-3 SLSTR Level 1 package">
{units}
         </xfdu:contentUnit>
      </informationPackageMap>
      <metadataSection>
{metadata}
      </metadataSection>
      <dataObjectSection>
{objects}
      </dataObjectSection>
   </xfdu:XFDU>
"""


def _identity(member: Member) -> str:
    stem = member.name.removesuffix(".nc").upper()
    return "ADF" if stem == "VISCAL" else f"SLSTR_{stem}_"


def _content_unit(member: Member) -> str:
    measured = "_radiance_" in member.name or "_BT_" in member.name
    unit = "Measurement Data Unit" if measured else "Annotation Data Unit"
    return f"""            <xfdu:contentUnit  ID="{_identity(member)}Unit" unitType="{unit}" textInfo="{member.name}">
               <dataObjectPointer dataObjectID="{_identity(member)}Data"/>
            </xfdu:contentUnit>"""


def _data_object(member: Member) -> str:
    return f"""         <dataObject ID="{_identity(member)}Data">
            <byteStream mimeType="application/x-netcdf" size="{member.size}">
               <fileLocation locatorType="URL" textInfo="{member.name}" href="./{member.name}"/>
               <checksum checksumName="MD5">{member.md5}</checksum>
            </byteStream>
         </dataObject>"""


def _metadata(identity: str, text: str, body: str) -> str:
    return f"""         <metadataObject ID="{identity}" classification="DESCRIPTION" category="DMD">
            <metadataWrap mimeType="text/xml" vocabularyName="Sentinel-SAFE" textInfo="{escape(text)}">
               <xmlData>
{body}
               </xmlData>
            </metadataWrap>
         </metadataObject>"""


def _acquisition_period(plan: ProductPlan) -> str:
    return f"""                  <sentinel-safe:acquisitionPeriod>
                     <sentinel-safe:startTime>{iso(plan.start)}</sentinel-safe:startTime>
                     <sentinel-safe:stopTime>{iso(plan.start + timedelta(seconds=FRAME_S))}</sentinel-safe:stopTime>
                  </sentinel-safe:acquisitionPeriod>"""


def _platform(plan: ProductPlan) -> str:
    letter = plan.platform[-1]
    return f"""                  <sentinel-safe:platform>
                     <sentinel-safe:nssdcIdentifier>{SATELLITE_IDS[letter]}</sentinel-safe:nssdcIdentifier>
                     <sentinel-safe:familyName>Sentinel-3</sentinel-safe:familyName>
                     <sentinel-safe:number>{letter}</sentinel-safe:number>
                     <sentinel-safe:instrument>
                        <sentinel-safe:familyName abbreviation="SLSTR">Sea and Land Surface Temperature Radiometer\
</sentinel-safe:familyName>
                        <sentinel-safe:mode identifier="EO">Earth Observation</sentinel-safe:mode>
                     </sentinel-safe:instrument>
                  </sentinel-safe:platform>"""


def _frame_set(geometry: Geometry) -> str:
    rows, columns = geometry.latitude_in.shape
    down = np.linspace(0, rows - 1, FOOTPRINT_POINTS).astype(int)
    right = np.linspace(0, columns - 1, FOOTPRINT_POINTS).astype(int)
    corners = [(0, column) for column in right] + [(row, columns - 1) for row in down[1:]]
    corners += [(rows - 1, column) for column in right[::-1][1:]] + [(row, 0) for row in down[::-1][1:]]
    points = " ".join(f"{geometry.latitude_in[at]:.6g} {geometry.longitude_in[at]:.6g}" for at in corners)
    return f"""                  <sentinel-safe:frameSet>
                     <sentinel-safe:footPrint srsName="http://www.opengis.net/def/crs/EPSG/0/4326">
                        <gml:posList>{points}</gml:posList>
                     </sentinel-safe:footPrint>
                  </sentinel-safe:frameSet>"""


def _general(plan: ProductPlan, members: Sequence[Member]) -> str:
    return f"""                  <sentinel3:generalProductInformation>
                     <sentinel3:productName>{plan.name}.SEN3</sentinel3:productName>
                     <sentinel3:productType>SL_1_RBT___</sentinel3:productType>
                     <sentinel3:timeliness>NT</sentinel3:timeliness>
                     <sentinel3:baselineCollection>{plan.collection}</sentinel3:baselineCollection>
                     <sentinel3:creationTime>{plan.name[48:63]}</sentinel3:creationTime>
                     <sentinel3:productSize>{sum(member.size for member in members)}</sentinel3:productSize>
                     <sentinel3:dispositionMode>Simulation</sentinel3:dispositionMode>
                     <sentinel3:productUnit>
                        <sentinel3:type>FRAME</sentinel3:type>
                        <sentinel3:duration>{int(FRAME_S) - 1}</sentinel3:duration>
                        <sentinel3:alongtrackCoordinate>{plan.frame}</sentinel3:alongtrackCoordinate>
                     </sentinel3:productUnit>
                  </sentinel3:generalProductInformation>"""


def _image_sizes(geometry: Geometry, oblique: Geometry | None) -> str:
    views = [("nadir", geometry)] + ([] if oblique is None else [("oblique", oblique)])
    sizes = "\n".join(_image_size(view, seen, grid, finer) for view, seen in views for grid, finer in GRIDS)
    return f"""                  <slstr:slstrProductInformation>
{sizes}
                  </slstr:slstrProductInformation>"""


def _image_size(view: str, geometry: Geometry, grid: str, finer: int) -> str:
    plan = geometry.plan
    return f"""                     <slstr:{view}ImageSize grid="{grid}">
                        <sentinel3:startOffset>{finer * geometry.start_offset}</sentinel3:startOffset>
                        <sentinel3:trackOffset>{finer * plan.nadir_column}</sentinel3:trackOffset>
                        <sentinel3:rows>{finer * plan.rows}</sentinel3:rows>
                        <sentinel3:columns>{finer * plan.columns}</sentinel3:columns>
                     </slstr:{view}ImageSize>"""


def _orbit(plan: ProductPlan) -> str:
    numbers = "\n".join(
        f'                     <sentinel-safe:{name} type="start">{number}</sentinel-safe:{name}>'
        for name, number in (("orbitNumber", plan.absolute_orbit), ("relativeOrbitNumber", plan.relative_orbit))
    )
    return f"""                  <sentinel-safe:orbitReference>
{numbers}
                     <sentinel-safe:cycleNumber>{plan.cycle}</sentinel-safe:cycleNumber>
                  </sentinel-safe:orbitReference>"""


def _quality() -> str:
    return """                  <sentinel-safe:qualityInformation>
                     <sentinel-safe:extension>
                        <sentinel3:productQuality>
                           <sentinel3:onlineQualityCheck>PASSED</sentinel3:onlineQualityCheck>
                           <sentinel3:degradationFlags></sentinel3:degradationFlags>
                        </sentinel3:productQuality>
                     </sentinel-safe:extension>
                  </sentinel-safe:qualityInformation>"""
