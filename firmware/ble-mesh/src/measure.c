/*
 * The thermometer: whatever Zephyr sensor the board's overlay calls dunes-thermometer.
 *
 * SPDX-License-Identifier: MIT
 */

#include <errno.h>

#include <zephyr/device.h>
#include <zephyr/devicetree.h>
#include <zephyr/drivers/sensor.h>

#include "node.h"

static const struct device *const thermometer = DEVICE_DT_GET(DT_ALIAS(dunes_thermometer));

int measure_temperature(int16_t *centi_celsius)
{
	struct sensor_value value;
	int32_t centi;
	int err;

	if (!device_is_ready(thermometer)) {
		return -ENODEV;
	}
	err = sensor_sample_fetch(thermometer);
	if (err) {
		return err;
	}
	err = sensor_channel_get(thermometer, SENSOR_CHAN_DIE_TEMP, &value);
	if (err == -ENOTSUP) {
		err = sensor_channel_get(thermometer, SENSOR_CHAN_AMBIENT_TEMP, &value);
	}
	if (err) {
		return err;
	}
	/* val2 is in millionths, and has the sign of the whole */
	centi = value.val1 * 100 + value.val2 / 10000;
	if (centi <= INT16_MIN || centi > INT16_MAX) {
		return -ERANGE;
	}
	*centi_celsius = (int16_t)centi;
	return 0;
}
