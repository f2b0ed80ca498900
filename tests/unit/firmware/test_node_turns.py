"""The node firmware's publications are apart, in a Zephyr that is three functions and a clock."""

import shutil
import subprocess
from itertools import pairwise

import pytest
from tools_of_the_house import ROOT

SOURCES = ROOT / "firmware/ble-mesh/src"
KERNEL = """
#include <stddef.h>
#include <stdint.h>
#define CONTAINER_OF(at, type, member) ((type *)((char *)(at) - offsetof(type, member)))
#define K_MSEC(ms) (ms)
struct k_work { void (*handler)(struct k_work *); };
struct k_work_delayable { struct k_work work; int64_t due_ms; };
int64_t k_uptime_get(void);
void k_work_init_delayable(struct k_work_delayable *work, void (*handler)(struct k_work *));
int k_work_reschedule(struct k_work_delayable *work, int64_t after_ms);
static inline struct k_work_delayable *k_work_delayable_from_work(struct k_work *work)
{
    return CONTAINER_OF(work, struct k_work_delayable, work);
}
"""
MESH = """
struct bt_mesh_model_op { int unused; };
struct bt_mesh_model_cb; struct bt_mesh_model;
struct bt_mesh_model_pub { int (*update)(const struct bt_mesh_model *model); };
struct bt_mesh_model { struct bt_mesh_model_pub *pub; };
int bt_mesh_model_publish(const struct bt_mesh_model *model);
"""
HARNESS = """
#include <stdio.h>
#include "node.h"

#define MODELS 3
#define PERIOD_MS 1000

static int64_t now_ms;
static struct turn turns[MODELS];
static struct bt_mesh_model models[MODELS];
static int64_t due_ms[MODELS];

int64_t k_uptime_get(void) { return now_ms; }

void k_work_init_delayable(struct k_work_delayable *work, void (*handler)(struct k_work *))
{
    work->work.handler = handler;
}

int k_work_reschedule(struct k_work_delayable *work, int64_t after_ms)
{
    work->due_ms = now_ms + after_ms;
    return 1;
}

/* as Zephyr: a publication begins the period anew, whoever ordered it */
int bt_mesh_model_publish(const struct bt_mesh_model *model)
{
    printf("%d %d\\n", (int)(model - models), (int)now_ms);
    due_ms[model - models] = now_ms + PERIOD_MS;
    return 0;
}

static int update(const struct bt_mesh_model *model)
{
    return turn_take(&turns[model - models], model);
}

int main(void)
{
    static struct bt_mesh_model_pub pub = { .update = update };

    for (int i = 0; i < MODELS; i++) {
        models[i].pub = &pub;
        due_ms[i] = 1;
    }
    for (now_ms = 1; now_ms < 6000; now_ms++) {
        if (now_ms == 3050) {
            turn_passed();
            printf("9 %d\\n", (int)now_ms);
        }
        for (int i = 0; i < MODELS; i++) {
            struct k_work_delayable *work = &turns[i].work;

            if (work->due_ms == now_ms) {
                work->work.handler(&work->work);
            }
            if (due_ms[i] == now_ms) {
                due_ms[i] = now_ms + PERIOD_MS; /* skipped, unless it may */
                if (update(&models[i]) == 0) {
                    (void)bt_mesh_model_publish(&models[i]);
                }
            }
        }
    }
    return 0;
}
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """Who published when, of three models that begin together; 9 is an alert."""
    gcc = shutil.which("gcc") or shutil.which("cc")
    if gcc is None:
        pytest.skip("needs gcc")
    folder = tmp_path_factory.mktemp("c")
    (folder / "zephyr/bluetooth").mkdir(parents=True)
    (folder / "zephyr/kernel.h").write_text("#pragma once\n" + KERNEL)
    (folder / "zephyr/bluetooth/mesh.h").write_text("#pragma once\n" + MESH)
    (folder / "main.c").write_text(HARNESS)
    subprocess.run(
        [gcc, "-std=c99", "-Wall", "-Wextra", "-Werror", f"-I{folder}", f"-I{SOURCES}",
         str(folder / "main.c"), str(SOURCES / "turns.c"), "-o", str(folder / "turns")],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    done = subprocess.run([str(folder / "turns")], check=True, capture_output=True, text=True)
    return [tuple(map(int, line.split())) for line in done.stdout.splitlines()]


def test_no_publication_follows_another_within_a_fifth_of_a_second(said):
    times_ms = [at_ms for _, at_ms in said]
    held = [b - a for (_, a), (who, b) in pairwise(said) if who != 9]
    assert min(held) >= 200
    assert times_ms == sorted(times_ms)


def test_all_keep_their_period_and_one_makes_room_for_an_alert(said):
    assert [(0, 1), (1, 201), (2, 401), (0, 1001)] == said[:4]
    assert (9, 3050) in said
    assert [(1, 3250), (2, 3450)] == said[said.index((9, 3050)) + 1 :][:2]
    for model in range(3):
        times_ms = [at_ms for who, at_ms in said if who == model]
        assert 6 == len(times_ms)


def test_every_model_that_publishes_by_period_waits_for_its_turn():
    for path in SOURCES.glob("*.c"):
        text = path.read_text("utf-8")
        assert text.count(".update = ") == text.count("turn_take(&turn, model)"), path.name
