"""The mesh's gateway: runs `dunes.mesh` over `dunes.ble`, keeps its state, commissions nodes."""
