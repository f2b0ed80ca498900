/*
 * What the parts of the node have of each other.
 *
 * SPDX-License-Identifier: MIT
 */

#ifndef DUNES_NODE_H_
#define DUNES_NODE_H_

#include <stdbool.h>
#include <stdint.h>

#include <zephyr/bluetooth/mesh.h>
#include <zephyr/kernel.h>

/* measure.c: the temperature in 0.01 degrees Celsius. Gives 0, or a negative errno. */
int measure_temperature(int16_t *centi_celsius);

/* actuator.c: the Generic OnOff Server. */
extern const struct bt_mesh_model_op actuator_ops[];
extern struct bt_mesh_model_pub actuator_pub;
int actuator_init(void);

/* sensor_srv.c: the Sensor Server. */
extern const struct bt_mesh_model_op sensor_srv_ops[];
extern struct bt_mesh_model_pub sensor_srv_pub;

/* habitat_srv.c: our vendor model. */
extern const struct bt_mesh_model_op habitat_srv_ops[];
extern const struct bt_mesh_model_cb habitat_srv_cb;
extern struct bt_mesh_model_pub habitat_srv_pub;

/* turns.c: who publishes when. */
struct turn {
	const struct bt_mesh_model *model;
	struct k_work_delayable work;
};

/*
 * Let a model publish now, from its update callback: gives 0; or later, when others have had their
 * turn: gives -EAGAIN, and the callback is called again then.
 */
int turn_take(struct turn *turn, const struct bt_mesh_model *model);

/* Something was published that could not wait. */
void turn_passed(void);

/* update.c: what MCUmgr is told besides what it knows. */
void update_init(void);

#endif /* DUNES_NODE_H_ */
