"""Meshes become signed distances in the own frames of their vertebrae."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cspine.domain import CERVICAL, ConfigError, Vertebra
from cspine.phantom.anatomy import body_edge, mesh_vertebrae
from cspine.phantom.mesh import Surface, bone_of, distance_lattice, read_obj
from cspine.phantom.mesh_frames import turn_about_x


def sphere(radius_mm: float, rings: int = 24) -> Surface:
    polar, around = np.linspace(0, np.pi, rings), np.linspace(0, 2 * np.pi, 2 * rings, endpoint=False)
    grid = np.stack(np.meshgrid(polar, around, indexing="ij"), -1)
    p, a = grid[..., 0], grid[..., 1]
    vertices = radius_mm * np.stack([np.sin(p) * np.cos(a), np.sin(p) * np.sin(a), np.cos(p)], -1).reshape(-1, 3)
    faces = []
    for i in range(rings - 1):
        for j in range(2 * rings):
            k = (j + 1) % (2 * rings)
            one, two, three, four = (
                i * 2 * rings + j,
                (i + 1) * 2 * rings + j,
                (i + 1) * 2 * rings + k,
                i * 2 * rings + k,
            )
            faces += [(one, two, three), (one, three, four)]
    return Surface(vertices, np.array(faces))


def test_the_distance_to_a_sphere_is_that_of_the_formula():
    lattice = distance_lattice(sphere(10.0), 0.6)
    points = np.random.default_rng(0).uniform(-12, 12, (4000, 3))
    true = np.linalg.norm(points, axis=1) - 10.0
    near = np.abs(true) < 3.0
    assert np.abs(lattice.at(points) - true)[near].max() < 0.3
    assert np.array_equal(lattice.at(points)[~near] < 0, true[~near] < 0)


def test_distances_go_on_beyond_the_lattice():
    lattice = distance_lattice(sphere(10.0), 0.6)
    assert lattice.at(np.array([[40.0, 0, 0]]))[0] == pytest.approx(30.0, abs=0.5)


def test_a_hole_and_turned_faces_do_not_spill_the_inside():
    whole = sphere(10.0)
    pierced = Surface(whole.vertices_mm, whole.faces[:, ::-1][7:-9])
    inside = distance_lattice(whole, 0.8).values_mm < 0
    torn = distance_lattice(pierced, 0.8).values_mm < 0
    assert abs(int(torn.sum()) - int(inside.sum())) < 0.02 * inside.sum()


def test_overlapping_shells_are_one_solid():
    one = sphere(8.0)
    two = Surface(one.vertices_mm + np.array([5.0, 0, 0]), one.faces)
    both = Surface(
        np.concatenate([one.vertices_mm, two.vertices_mm]),
        np.concatenate([one.faces, two.faces + len(one.vertices_mm)]),
    )
    assert distance_lattice(both, 0.6).at(np.array([[2.5, 0.0, 0.0]]))[0] < -4


def test_polygons_of_an_obj_file_become_fans(tmp_path: Path):
    (tmp_path / "a.obj").write_text("v 0 0 0\nvn 0 0 1\nv 1 0 0\nv 1 1 0\nv 0 1 0\nf 1//1 2//1 3//1 4//1\n")
    surface = read_obj(tmp_path / "a.obj")
    assert surface.faces.tolist() == [[0, 1, 2], [0, 2, 3]]
    assert surface.vertices_mm.shape == (4, 3)


def test_a_file_without_faces_is_refused(tmp_path: Path):
    (tmp_path / "empty.obj").write_text("v 0 0 0\n")
    with pytest.raises(ConfigError, match=r"empty\.obj.*no faces"):
        read_obj(tmp_path / "empty.obj")


def test_a_folder_without_a_vertebra_is_refused_by_its_name(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"no mesh of C1 \(C1\.obj or C1_mean\.obj\)"):
        mesh_vertebrae(str(tmp_path))


def test_flexion_tips_the_head_forward():
    up = turn_about_x(20.0)[:3, :3] @ [0.0, 0.0, 1.0]
    assert up[1] < 0 < up[2]


def test_a_bone_of_a_mesh_keeps_its_bounds():
    bone = bone_of(sphere(10.0), "ball", None)
    np.testing.assert_allclose(bone.bounds_mm, [[-10] * 3, [10] * 3], atol=0.2)


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["meshes/artisynth-neck", "meshes/umtri-cspine"])
def test_meshes_stand_upright_in_their_own_frames(shared_data: Callable[[str], Path], folder: str):
    bones = mesh_vertebrae(str(shared_data(folder)))
    assert tuple(bones) == CERVICAL
    for vertebra, bone in bones.items():
        low, high = bone.bounds_mm
        assert abs(low[0] + high[0]) < 2.0, f"{vertebra.name} is not centered from side to side"
        assert high[1] > -low[1] or vertebra is Vertebra.C1, f"{vertebra.name} does not point backward"
        if vertebra >= Vertebra.C3:
            heights = [body_edge(bone, 0.0, up) for up in (-1.0, 1.0)]
            assert 9 < sum(heights) < 19  # one source is 10–15 % oversized
            assert abs(heights[0] - heights[1]) < 1.6, f"the origin of {vertebra.name} is not in the middle of its body"
    assert bones[Vertebra.C2].bounds_mm[1, 2] > 22, "the dens of C2 does not point up"


@pytest.mark.slow
def test_the_scaled_meshes_have_the_sizes_that_umtri_measured(shared_data: Callable[[str], Path]):
    bones = mesh_vertebrae(str(shared_data("meshes/umtri-cspine")))
    widths = {v: float(np.ptp(b.bounds_mm[:, 0])) for v, b in bones.items()}
    measured = (73.4, 50.4, 49.9, 51.7, 52.7, 52.1, 60.0)
    np.testing.assert_allclose(list(widths.values()), measured, atol=0.6)
