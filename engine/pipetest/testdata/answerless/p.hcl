channel "c" {
  key        = device
  partitions = 2
  schema     = { device = string, site = string }
}
pipeline "p" {
  from = channel.c
  enrich "http" "sites" {
    url     = "https://sites.invalid/v1/sites.json"
    by      = [site]
    with    = [id]
    columns = { id = string, region = string, lat = number, since = timestamp, open = bool, beds = integer }
    refresh = "1m"
    timeout = "30s"
    missing = "default"
    default = { region = "nowhere" }
  }
}
pipeline "q" {
  from = channel.c
  enrich "http" "prices" {
    url     = "https://prices.invalid/today"
    format  = "csv"
    by      = [site]
    columns = { site = string, price = number }
    missing = "reject"
    refresh = "1m"
  }
}
