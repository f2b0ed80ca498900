/*
 * Generic OnOff Server: the actuator, a pin that the board's overlay calls dunes-actuator.
 *
 * A delay is heeded, a transition time is not: the pin has no state in between.
 *
 * Source: Mesh Model 1.1, 3.1.1, 3.2.1 and 3.3.1.
 *
 * SPDX-License-Identifier: MIT
 */

#include <errno.h>

#include <zephyr/devicetree.h>
#include <zephyr/drivers/gpio.h>
#include <zephyr/kernel.h>

#include "node.h"

#define OP_ONOFF_GET       BT_MESH_MODEL_OP_2(0x82, 0x01)
#define OP_ONOFF_SET       BT_MESH_MODEL_OP_2(0x82, 0x02)
#define OP_ONOFF_SET_UNACK BT_MESH_MODEL_OP_2(0x82, 0x03)
#define OP_ONOFF_STATUS    BT_MESH_MODEL_OP_2(0x82, 0x04)

#define DELAY_STEP_MS 5
#define SAME_MESSAGE_MS 6000

static const struct gpio_dt_spec pin = GPIO_DT_SPEC_GET(DT_ALIAS(dunes_actuator), gpios);

static struct {
	bool on;
	uint8_t tid;
	uint16_t source;
	int64_t heard_ms;
	struct k_work_delayable work;
} actuator;

static int publish_update(const struct bt_mesh_model *model);

/* as BT_MESH_MODEL_PUB_DEFINE does it, but not static */
NET_BUF_SIMPLE_DEFINE_STATIC(actuator_pub_msg, 2 + 1);
struct bt_mesh_model_pub actuator_pub = {
	.msg = &actuator_pub_msg,
	.update = publish_update,
};

static void write_status(struct net_buf_simple *message)
{
	bt_mesh_model_msg_init(message, OP_ONOFF_STATUS);
	net_buf_simple_add_u8(message, actuator.on);
}

static int publish_update(const struct bt_mesh_model *model)
{
	static struct turn turn;
	const int err = turn_take(&turn, model);

	if (err) {
		return err;
	}
	write_status(model->pub->msg);
	return 0;
}

static int send_status(const struct bt_mesh_model *model, struct bt_mesh_msg_ctx *ctx)
{
	BT_MESH_MODEL_BUF_DEFINE(message, OP_ONOFF_STATUS, 1);

	write_status(&message);
	return bt_mesh_model_send(model, ctx, &message, NULL, NULL);
}

static void move(struct k_work *work)
{
	(void)gpio_pin_set_dt(&pin, actuator.on);
}

static int handle_get(const struct bt_mesh_model *model, struct bt_mesh_msg_ctx *ctx,
		      struct net_buf_simple *buf)
{
	return send_status(model, ctx);
}

static int handle_set_unack(const struct bt_mesh_model *model, struct bt_mesh_msg_ctx *ctx,
			    struct net_buf_simple *buf)
{
	const uint8_t wanted = net_buf_simple_pull_u8(buf);
	const uint8_t tid = net_buf_simple_pull_u8(buf);
	const int64_t now_ms = k_uptime_get();
	uint32_t delay_ms = 0;

	if (wanted > 1 || (buf->len != 0 && buf->len != 2)) {
		return -EINVAL;
	}
	if (buf->len) {
		(void)net_buf_simple_pull_u8(buf);
		delay_ms = net_buf_simple_pull_u8(buf) * DELAY_STEP_MS;
	}
	if (tid == actuator.tid && ctx->addr == actuator.source &&
	    now_ms - actuator.heard_ms < SAME_MESSAGE_MS) {
		return 0; /* the same message again */
	}
	actuator.tid = tid;
	actuator.source = ctx->addr;
	actuator.heard_ms = now_ms;
	actuator.on = wanted;
	k_work_reschedule(&actuator.work, K_MSEC(delay_ms));
	return 0;
}

static int handle_set(const struct bt_mesh_model *model, struct bt_mesh_msg_ctx *ctx,
		      struct net_buf_simple *buf)
{
	const int err = handle_set_unack(model, ctx, buf);

	return err ? err : send_status(model, ctx);
}

const struct bt_mesh_model_op actuator_ops[] = {
	{ OP_ONOFF_GET, BT_MESH_LEN_EXACT(0), handle_get },
	{ OP_ONOFF_SET, BT_MESH_LEN_MIN(2), handle_set },
	{ OP_ONOFF_SET_UNACK, BT_MESH_LEN_MIN(2), handle_set_unack },
	BT_MESH_MODEL_OP_END,
};

int actuator_init(void)
{
	k_work_init_delayable(&actuator.work, move);
	if (!gpio_is_ready_dt(&pin)) {
		return -ENODEV;
	}
	return gpio_pin_configure_dt(&pin, GPIO_OUTPUT_INACTIVE);
}
