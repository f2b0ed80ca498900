/*
 * How a Sensor Status and a descriptor lie on the air. Needs nothing but C99; tests compile it.
 *
 * Source: Mesh Model 1.1, 4.2.14 (Sensor Status), 4.1.1 (Sensor Descriptor).
 *
 * SPDX-License-Identifier: MIT
 */

#ifndef DUNES_SENSOR_WIRE_H_
#define DUNES_SENSOR_WIRE_H_

#include <stddef.h>
#include <stdint.h>

/* Present Device Operating Temperature: 0.01 degrees Celsius in 2 octets, signed. */
#define SENSOR_PROPERTY_DEVICE_TEMPERATURE 0x0054
#define SENSOR_TEMPERATURE_SIZE 2
#define SENSOR_TEMPERATURE_UNKNOWN INT16_MIN

/* A marshalled value in format A: property below 0x0800, 1 to 16 octets. */
#define SENSOR_FORMAT_A_SIZE(_value_size) (2 + (_value_size))
#define SENSOR_DESCRIPTOR_SIZE 8

/* Write one value of 2 octets in format A. */
static inline void sensor_format_a_16(uint16_t property, int16_t value,
				      uint8_t data[SENSOR_FORMAT_A_SIZE(2)])
{
	const uint16_t head = (uint16_t)(property << 5 | (2 - 1) << 1);
	const uint16_t bits = (uint16_t)value;

	data[0] = (uint8_t)head;
	data[1] = (uint8_t)(head >> 8);
	data[2] = (uint8_t)bits;
	data[3] = (uint8_t)(bits >> 8);
}

/* Write a format B head that says "no such property": length 0x7F. */
static inline void sensor_format_b_none(uint16_t property, uint8_t data[3])
{
	data[0] = 0x7F << 1 | 1;
	data[1] = (uint8_t)property;
	data[2] = (uint8_t)(property >> 8);
}

/* Write a descriptor with tolerances, sampling, period and interval that are not told. */
static inline void sensor_descriptor(uint16_t property, uint8_t data[SENSOR_DESCRIPTOR_SIZE])
{
	data[0] = (uint8_t)property;
	data[1] = (uint8_t)(property >> 8);
	for (size_t i = 2; i < SENSOR_DESCRIPTOR_SIZE; i++) {
		data[i] = 0;
	}
}

#endif /* DUNES_SENSOR_WIRE_H_ */
