/*
 * Sensor Server with one property, Present Device Operating Temperature.
 *
 * Upstream Zephyr has no Sensor Server of its own (the nRF Connect SDK has), so what a gateway
 * needs of it is here: Get, Status, Descriptor Get and Status; cadence is what is configured as
 * publish period.
 *
 * Source: Mesh Model 1.1, 4.2 and 4.3.1.
 *
 * SPDX-License-Identifier: MIT
 */

#include <errno.h>

#include "node.h"
#include "sensor_wire.h"

#define OP_DESCRIPTOR_GET    BT_MESH_MODEL_OP_2(0x82, 0x30)
#define OP_SENSOR_GET        BT_MESH_MODEL_OP_2(0x82, 0x31)
#define OP_DESCRIPTOR_STATUS BT_MESH_MODEL_OP_1(0x51)
#define OP_SENSOR_STATUS     BT_MESH_MODEL_OP_1(0x52)

#define VALUE_SIZE SENSOR_FORMAT_A_SIZE(SENSOR_TEMPERATURE_SIZE)

static int publish_update(const struct bt_mesh_model *model);

NET_BUF_SIMPLE_DEFINE_STATIC(sensor_srv_pub_msg, 1 + VALUE_SIZE);
struct bt_mesh_model_pub sensor_srv_pub = {
	.msg = &sensor_srv_pub_msg,
	.update = publish_update,
};

static void add_temperature(struct net_buf_simple *message)
{
	int16_t centi = SENSOR_TEMPERATURE_UNKNOWN;

	if (measure_temperature(&centi)) {
		centi = SENSOR_TEMPERATURE_UNKNOWN;
	}
	sensor_format_a_16(SENSOR_PROPERTY_DEVICE_TEMPERATURE, centi,
			   net_buf_simple_add(message, VALUE_SIZE));
}

static int publish_update(const struct bt_mesh_model *model)
{
	static struct turn turn;
	const int err = turn_take(&turn, model);

	if (err) {
		return err;
	}
	bt_mesh_model_msg_init(model->pub->msg, OP_SENSOR_STATUS);
	add_temperature(model->pub->msg);
	return 0;
}

/* Read an optional property ID: 0 where there is none. */
static int wanted_property(struct net_buf_simple *buf, uint16_t *property)
{
	*property = 0;
	if (buf->len == 0) {
		return 0;
	}
	if (buf->len != 2) {
		return -EINVAL;
	}
	*property = net_buf_simple_pull_le16(buf);
	return *property ? 0 : -EINVAL; /* 0 is prohibited */
}

static int handle_get(const struct bt_mesh_model *model, struct bt_mesh_msg_ctx *ctx,
		      struct net_buf_simple *buf)
{
	uint16_t property;
	const int err = wanted_property(buf, &property);

	BT_MESH_MODEL_BUF_DEFINE(message, OP_SENSOR_STATUS, VALUE_SIZE);

	if (err) {
		return err;
	}
	bt_mesh_model_msg_init(&message, OP_SENSOR_STATUS);
	if (property && property != SENSOR_PROPERTY_DEVICE_TEMPERATURE) {
		sensor_format_b_none(property, net_buf_simple_add(&message, 3));
	} else {
		add_temperature(&message);
	}
	return bt_mesh_model_send(model, ctx, &message, NULL, NULL);
}

static int handle_descriptor_get(const struct bt_mesh_model *model, struct bt_mesh_msg_ctx *ctx,
				 struct net_buf_simple *buf)
{
	uint16_t property;
	const int err = wanted_property(buf, &property);

	BT_MESH_MODEL_BUF_DEFINE(message, OP_DESCRIPTOR_STATUS, SENSOR_DESCRIPTOR_SIZE);

	if (err) {
		return err;
	}
	bt_mesh_model_msg_init(&message, OP_DESCRIPTOR_STATUS);
	if (property && property != SENSOR_PROPERTY_DEVICE_TEMPERATURE) {
		net_buf_simple_add_le16(&message, property);
	} else {
		sensor_descriptor(SENSOR_PROPERTY_DEVICE_TEMPERATURE,
				  net_buf_simple_add(&message, SENSOR_DESCRIPTOR_SIZE));
	}
	return bt_mesh_model_send(model, ctx, &message, NULL, NULL);
}

const struct bt_mesh_model_op sensor_srv_ops[] = {
	{ OP_DESCRIPTOR_GET, BT_MESH_LEN_MIN(0), handle_descriptor_get },
	{ OP_SENSOR_GET, BT_MESH_LEN_MIN(0), handle_get },
	BT_MESH_MODEL_OP_END,
};
