/*
 * Our vendor model: reports with an alert flag, a time and a place in a sequence.
 *
 * Messages and their octets are generated, see habitat.h. An alert is published at once and
 * again, after 2, 4, 8 … seconds, until somebody acknowledges it or six tries are over.
 *
 * SPDX-License-Identifier: MIT
 */

#include <errno.h>

#include <zephyr/kernel.h>
#include <zephyr/logging/log.h>

#include "habitat.h"
#include "node.h"

LOG_MODULE_REGISTER(habitat_srv);

#define OPCODE(_number) BT_MESH_MODEL_OP_3(_number, HABITAT_COMPANY)
#define OPCODE_SIZE     3

#define TIME_MODULUS     (1U << 24)
#define SEQUENCE_MODULUS (1U << 14)
#define ALERT_REPEAT_S   2
#define ALERT_TRIES      6

static int publish_update(const struct bt_mesh_model *model);

NET_BUF_SIMPLE_DEFINE_STATIC(habitat_srv_pub_msg, OPCODE_SIZE + HABITAT_REPORT_SIZE);
struct bt_mesh_model_pub habitat_srv_pub = {
	.msg = &habitat_srv_pub_msg,
	.update = publish_update,
};

static struct {
	const struct bt_mesh_model *model;
	int64_t unix_offset_s; /* of Unix time to uptime; 0: never set */
	uint16_t sequence;
	struct habitat_report latest;
	struct habitat_report alert;
	unsigned int tries;
	bool outside;
	struct k_work_delayable watch;
	struct k_work_delayable repeat;
} habitat;

static int64_t uptime_s(void)
{
	return k_uptime_get() / MSEC_PER_SEC;
}

static bool is_outside(int16_t centi)
{
	return centi >= CONFIG_DUNES_ALERT_HIGH || centi < CONFIG_DUNES_ALERT_LOW;
}

/* Make the next report of the temperature. */
static struct habitat_report make_report(void)
{
	int16_t centi = HABITAT_NO_VALUE;
	struct habitat_report report = {
		.kind = HABITAT_KIND_TEMPERATURE,
		.clock_set = habitat.unix_offset_s != 0,
	};

	if (measure_temperature(&centi)) {
		centi = HABITAT_NO_VALUE;
	}
	BUILD_ASSERT(HABITAT_KIND_TEMPERATURE_DIVISOR == 100, "measured in 0.01 degrees");
	report.value = centi;
	report.alert = centi != HABITAT_NO_VALUE && is_outside(centi);
	report.time_s = (uint32_t)(uptime_s() + habitat.unix_offset_s) % TIME_MODULUS;
	habitat.sequence = (habitat.sequence + 1) % SEQUENCE_MODULUS;
	report.sequence = habitat.sequence;
	habitat.latest = report;
	return report;
}

static void write_report(struct net_buf_simple *message, const struct habitat_report *report)
{
	bt_mesh_model_msg_init(message, OPCODE(HABITAT_OP_REPORT));
	habitat_report_encode(report, net_buf_simple_add(message, HABITAT_REPORT_SIZE));
}

static int publish_update(const struct bt_mesh_model *model)
{
	static struct turn turn;
	const int err = turn_take(&turn, model);
	struct habitat_report report;

	if (err) {
		return err;
	}
	report = make_report();
	write_report(model->pub->msg, &report);
	return 0;
}

static void publish_alert(void)
{
	int err;

	if (habitat.model->pub->addr == BT_MESH_ADDR_UNASSIGNED) {
		return;
	}
	write_report(habitat.model->pub->msg, &habitat.alert);
	turn_passed();
	err = bt_mesh_model_publish(habitat.model);
	if (err) {
		LOG_WRN("an alert was not published (%d)", err);
	}
}

/* Look whether the value has left its limits, or come back. */
static void look(struct k_work *work)
{
	int16_t centi;

	if (measure_temperature(&centi) == 0 && is_outside(centi) != habitat.outside) {
		habitat.outside = !habitat.outside;
		if (habitat.outside) {
			habitat.alert = make_report();
			habitat.tries = 1;
			publish_alert();
			k_work_reschedule(&habitat.repeat, K_SECONDS(ALERT_REPEAT_S));
		}
	}
	k_work_reschedule(&habitat.watch, K_SECONDS(CONFIG_DUNES_WATCH_SECONDS));
}

static void repeat_alert(struct k_work *work)
{
	if (habitat.tries == 0 || habitat.tries >= ALERT_TRIES) {
		return;
	}
	publish_alert();
	habitat.tries++;
	k_work_reschedule(&habitat.repeat, K_SECONDS(ALERT_REPEAT_S << (habitat.tries - 1)));
}

static int handle_report_get(const struct bt_mesh_model *model, struct bt_mesh_msg_ctx *ctx,
			     struct net_buf_simple *buf)
{
	struct habitat_report_get asked;
	struct habitat_report report;

	BT_MESH_MODEL_BUF_DEFINE(message, OPCODE(HABITAT_OP_REPORT), HABITAT_REPORT_SIZE);

	habitat_report_get_decode(net_buf_simple_pull_mem(buf, HABITAT_REPORT_GET_SIZE), &asked);
	if (asked.kind != 0 && asked.kind != HABITAT_KIND_TEMPERATURE) {
		return 0;
	}
	report = habitat.latest.kind ? habitat.latest : make_report();
	write_report(&message, &report);
	return bt_mesh_model_send(model, ctx, &message, NULL, NULL);
}

static int handle_alert_ack(const struct bt_mesh_model *model, struct bt_mesh_msg_ctx *ctx,
			    struct net_buf_simple *buf)
{
	struct habitat_alert_ack ack;

	habitat_alert_ack_decode(net_buf_simple_pull_mem(buf, HABITAT_ALERT_ACK_SIZE), &ack);
	if (ack.kind == habitat.alert.kind && ack.sequence == habitat.alert.sequence) {
		habitat.tries = 0;
		(void)k_work_cancel_delayable(&habitat.repeat);
	}
	return 0;
}

static int handle_clock_set(const struct bt_mesh_model *model, struct bt_mesh_msg_ctx *ctx,
			    struct net_buf_simple *buf)
{
	struct habitat_clock_set set;
	struct habitat_clock_status status;

	BT_MESH_MODEL_BUF_DEFINE(message, OPCODE(HABITAT_OP_CLOCK_STATUS),
				 HABITAT_CLOCK_STATUS_SIZE);

	habitat_clock_set_decode(net_buf_simple_pull_mem(buf, HABITAT_CLOCK_SET_SIZE), &set);
	habitat.unix_offset_s = set.unix_s ? (int64_t)set.unix_s - uptime_s() : 0;
	status.unix_s = set.unix_s;
	bt_mesh_model_msg_init(&message, OPCODE(HABITAT_OP_CLOCK_STATUS));
	habitat_clock_status_encode(&status,
				    net_buf_simple_add(&message, HABITAT_CLOCK_STATUS_SIZE));
	return bt_mesh_model_send(model, ctx, &message, NULL, NULL);
}

const struct bt_mesh_model_op habitat_srv_ops[] = {
	{ OPCODE(HABITAT_OP_REPORT_GET), BT_MESH_LEN_EXACT(HABITAT_REPORT_GET_SIZE),
	  handle_report_get },
	{ OPCODE(HABITAT_OP_ALERT_ACK), BT_MESH_LEN_EXACT(HABITAT_ALERT_ACK_SIZE),
	  handle_alert_ack },
	{ OPCODE(HABITAT_OP_CLOCK_SET), BT_MESH_LEN_EXACT(HABITAT_CLOCK_SET_SIZE),
	  handle_clock_set },
	BT_MESH_MODEL_OP_END,
};

static int habitat_init(const struct bt_mesh_model *model)
{
	habitat.model = model;
	k_work_init_delayable(&habitat.watch, look);
	k_work_init_delayable(&habitat.repeat, repeat_alert);
	return 0;
}

static int habitat_start(const struct bt_mesh_model *model)
{
	k_work_reschedule(&habitat.watch, K_SECONDS(CONFIG_DUNES_WATCH_SECONDS));
	return 0;
}

static void habitat_reset(const struct bt_mesh_model *model)
{
	habitat.tries = 0;
	(void)k_work_cancel_delayable(&habitat.repeat);
	(void)k_work_cancel_delayable(&habitat.watch);
}

const struct bt_mesh_model_cb habitat_srv_cb = {
	.init = habitat_init,
	.start = habitat_start,
	.reset = habitat_reset,
};
