package door

const stormVar = "TIDEMILL_STORM"
