/*
 * Publications of the node's models are apart, also where their periods begin together, as they
 * do at a start: a message that overtakes an older one of its sender makes that one look
 * replayed, and a gateway drops it.
 *
 * SPDX-License-Identifier: MIT
 */

#include <errno.h>

#include <zephyr/kernel.h>

#include "node.h"

#define APART_MS 200

static int64_t free_ms; /* uptime from which on the next may publish */

static void turn_came(struct k_work *work)
{
	struct turn *turn = CONTAINER_OF(k_work_delayable_from_work(work), struct turn, work);

	if (turn->model->pub->update(turn->model) == 0) {
		(void)bt_mesh_model_publish(turn->model);
	}
}

int turn_take(struct turn *turn, const struct bt_mesh_model *model)
{
	const int64_t wait_ms = free_ms - k_uptime_get();

	if (wait_ms <= 0) {
		turn_passed();
		return 0;
	}
	if (turn->model == NULL) {
		turn->model = model;
		k_work_init_delayable(&turn->work, turn_came);
	}
	k_work_reschedule(&turn->work, K_MSEC(wait_ms));
	return -EAGAIN; /* the stack skips this period's publication; ours begins its next one */
}

void turn_passed(void)
{
	free_ms = k_uptime_get() + APART_MS;
}
