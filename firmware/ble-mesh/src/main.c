/*
 * A mesh node: Sensor Server, our vendor model, Generic OnOff actuator, firmware update.
 *
 * SPDX-License-Identifier: MIT
 */

#include <errno.h>

#include <zephyr/bluetooth/bluetooth.h>
#include <zephyr/bluetooth/mesh.h>
#include <zephyr/drivers/hwinfo.h>
#include <zephyr/kernel.h>
#include <zephyr/logging/log.h>
#include <zephyr/settings/settings.h>

#include "habitat.h"
#include "node.h"

LOG_MODULE_REGISTER(dunes_node);

#define UUID_SIZE 16

static uint8_t device_uuid[UUID_SIZE];

static struct bt_mesh_health_srv health_srv;
BT_MESH_HEALTH_PUB_DEFINE(health_pub, 0);

static const struct bt_mesh_model sig_models[] = {
	BT_MESH_MODEL_CFG_SRV,
	BT_MESH_MODEL_HEALTH_SRV(&health_srv, &health_pub),
	BT_MESH_MODEL(BT_MESH_MODEL_ID_SENSOR_SRV, sensor_srv_ops, &sensor_srv_pub, NULL),
	BT_MESH_MODEL(BT_MESH_MODEL_ID_GEN_ONOFF_SRV, actuator_ops, &actuator_pub, NULL),
};

static const struct bt_mesh_model vendor_models[] = {
	BT_MESH_MODEL_VND_CB(HABITAT_COMPANY, HABITAT_SERVER_MODEL, habitat_srv_ops,
			     &habitat_srv_pub, NULL, &habitat_srv_cb),
};

static const struct bt_mesh_elem elements[] = {
	BT_MESH_ELEM(0, sig_models, vendor_models),
};

static const struct bt_mesh_comp composition = {
	.cid = HABITAT_COMPANY,
	.elem = elements,
	.elem_count = ARRAY_SIZE(elements),
};

static void provisioned(uint16_t net_idx, uint16_t addr)
{
	LOG_INF("part of network %u as 0x%04x", net_idx, addr);
}

/* The node was taken out of its network: be found again. */
static void taken_out(void)
{
	const int err = bt_mesh_prov_enable(BT_MESH_PROV_ADV | BT_MESH_PROV_GATT);

	if (err) {
		LOG_ERR("cannot be provisioned again (%d)", err);
	}
}

static const struct bt_mesh_prov provisioning = {
	.uuid = device_uuid,
	.complete = provisioned,
	.reset = taken_out,
};

/* Make the UUID of the chip's own number, so that it stays the same for good. */
static int make_uuid(void)
{
	const ssize_t size = hwinfo_get_device_id(device_uuid, sizeof(device_uuid));

	if (size <= 0) {
		return size ? (int)size : -ENODATA;
	}
	for (ssize_t i = size; i < UUID_SIZE; i++) {
		device_uuid[i] = device_uuid[i - size] ^ 0x5A;
	}
	device_uuid[6] = (device_uuid[6] & 0x0F) | 0x40; /* RFC 9562: version 4, variant 10 */
	device_uuid[8] = (device_uuid[8] & 0x3F) | 0x80;
	return 0;
}

static int start(void)
{
	int err = make_uuid();

	if (err) {
		return err;
	}
	err = actuator_init();
	if (err) {
		return err;
	}
	update_init();
	err = bt_enable(NULL);
	if (err) {
		return err;
	}
	err = bt_mesh_init(&provisioning, &composition);
	if (err) {
		return err;
	}
	err = settings_load();
	if (err) {
		return err;
	}
	if (!bt_mesh_is_provisioned()) {
		return bt_mesh_prov_enable(BT_MESH_PROV_ADV | BT_MESH_PROV_GATT);
	}
	return 0;
}

int main(void)
{
	const int err = start();

	if (err) {
		LOG_ERR("the node did not start (%d)", err);
	}
	return err;
}
