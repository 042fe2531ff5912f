// A client of the npm package mqtt that allows topic aliases: a line for each message, with its topic as it came, its
// alias, and the topic that the package makes of both.
import mqtt from 'mqtt'

const client = await mqtt.connectAsync(process.argv[2], { protocolVersion: 5, clientId: 'npmaliases', clean: true, properties: { topicAliasMaximum: 5 } })
const say = m => console.log(JSON.stringify(m))
let wire = ''
client.on('packetreceive', packet => { if (packet.cmd === 'publish') wire = packet.topic.toString() })
client.on('message', (topic, _, packet) => say({ wire, alias: packet.properties?.topicAlias ?? 0, topic }))
await client.subscribeAsync('dt/+/telemetry', { qos: 1 })
say({})
