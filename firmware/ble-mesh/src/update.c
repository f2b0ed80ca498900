/*
 * Firmware update: MCUmgr does it all; here it is told what it cannot know.
 *
 * The image is confirmed by whoever updates, after it was seen running ("dunes flash-node"), not
 * by itself: an image that starts and hears nothing is taken back by the next restart.
 *
 * SPDX-License-Identifier: MIT
 */

#include <string.h>

#include <zcbor_common.h>
#include <zcbor_encode.h>

#include <zephyr/mgmt/mcumgr/grp/os_mgmt/os_mgmt.h>
#include <zephyr/mgmt/mcumgr/mgmt/callbacks.h>

#include "node.h"

#define QUERY "release"

/* Answer the query "release" with the version of the bootloader. */
static enum mgmt_cb_return bootloader_info(uint32_t event, enum mgmt_cb_return prev_status,
					   int32_t *rc, uint16_t *group, bool *abort_more,
					   void *data, size_t data_size)
{
	struct os_mgmt_bootloader_info_data *info = data;

	if (event != MGMT_EVT_OP_OS_MGMT_BOOTLOADER_INFO || data_size != sizeof(*info)) {
		*rc = MGMT_ERR_EUNKNOWN;
		return MGMT_CB_ERROR_RC;
	}
	if (sizeof(CONFIG_DUNES_BOOTLOADER_VERSION) > 1 && *info->decoded > 0 &&
	    info->query->len == sizeof(QUERY) - 1 &&
	    memcmp(info->query->value, QUERY, sizeof(QUERY) - 1) == 0) {
		*info->has_output =
			zcbor_tstr_put_lit(info->zse, QUERY) &&
			zcbor_tstr_put_lit(info->zse, CONFIG_DUNES_BOOTLOADER_VERSION);
	}
	return MGMT_CB_OK;
}

static struct mgmt_callback bootloader_info_callback = {
	.callback = bootloader_info,
	.event_id = MGMT_EVT_OP_OS_MGMT_BOOTLOADER_INFO,
};

void update_init(void)
{
	mgmt_callback_register(&bootloader_info_callback);
}
