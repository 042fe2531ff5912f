// A client of the npm package mqtt, or of the AWS IoT device SDK: says "ready"
// when its messages have come back to it, and after a line on standard input,
// with the server restarted meanwhile, "again" when others have.
import { createInterface } from 'node:readline'
import { createRequire } from 'node:module'

const [kind, name, address, ca, cert, key] = process.argv.slice(2)
const topic = `dt/${name}/telemetry`
const waiting = new Map()
let publish

function came(text) {
  const { id } = JSON.parse(text)
  waiting.get(id)?.()
  waiting.delete(id)
}

// round publishes a message of each QoS and waits for it to come back.
async function round(which, levels) {
  for (const qos of levels) {
    const id = `${name}-${which}-${qos}`
    const back = new Promise(resolve => waiting.set(id, resolve))
    await publish(JSON.stringify({ id }), qos)
    await back
  }
}

async function npm(version) {
  const mqtt = (await import('mqtt')).default
  const fs = await import('node:fs')
  const options = { clientId: name, protocolVersion: version, reconnectPeriod: 100, clean: false }
  if (version === 5) options.properties = { sessionExpiryInterval: 600 }
  if (ca) Object.assign(options, { ca: fs.readFileSync(ca), cert: fs.readFileSync(cert), key: fs.readFileSync(key) })
  const client = await mqtt.connectAsync(address, options)
  client.on('message', (_, payload) => came(payload.toString()))
  client.on('error', () => {}) // it connects again
  await client.subscribeAsync(topic, { qos: 2 })
  publish = (text, qos) => client.publishAsync(topic, text, { qos })
  return { levels: [0, 1, 2], end: () => client.endAsync() }
}

function aws() {
  const { mqtt, iot } = createRequire(import.meta.url)('aws-iot-device-sdk-v2')
  const [host, port] = address.split(':')
  const config = iot.AwsIotMqttConnectionConfigBuilder.new_mtls_builder_from_path(cert, key)
    .with_certificate_authority_from_path(undefined, ca).with_endpoint(host).with_port(Number(port))
    .with_client_id(name).with_clean_session(false).with_reconnect_min_sec(1).with_reconnect_max_sec(1).build()
  const connection = new mqtt.MqttClient().new_connection(config)
  return begin(connection, mqtt)
}

async function begin(connection, mqtt) {
  connection.on('message', (_, payload) => came(new TextDecoder().decode(payload)))
  connection.on('error', () => {})
  await connection.connect()
  await connection.subscribe(topic, mqtt.QoS.AtLeastOnce)
  publish = (text, qos) => connection.publish(topic, text, qos)
  return { levels: [0, 1], end: () => connection.disconnect() }
}

async function aws5() {
  const { mqtt5, iot } = createRequire(import.meta.url)('aws-iot-device-sdk-v2')
  const [host, port] = address.split(':')
  const builder = iot.AwsIotMqtt5ClientConfigBuilder.newDirectMqttBuilderWithMtlsFromPath(host, cert, key)
  builder.withCertificateAuthorityFromPath(undefined, ca).withPort(Number(port))
  builder.withConnectProperties({ clientId: name, keepAliveIntervalSeconds: 30, sessionExpiryIntervalSeconds: 600 })
  builder.withSessionBehavior(mqtt5.ClientSessionBehavior.RejoinAlways).withMinReconnectDelayMs(100).withMaxReconnectDelayMs(500)
  const client = new mqtt5.Mqtt5Client(builder.build())
  client.on('messageReceived', e => came(new TextDecoder().decode(e.message.payload)))
  client.on('error', () => {})
  const up = new Promise(resolve => client.once('connectionSuccess', resolve))
  client.start()
  await up
  await client.subscribe({ subscriptions: [{ topicFilter: topic, qos: 1 }] })
  publish = (text, qos) => client.publish({ topicName: topic, payload: text, qos })
  return { levels: [0, 1], end: () => { const over = new Promise(r => client.once('stopped', r)); client.stop(); return over } }
}

const kinds = { npm3: () => npm(4), npm5: () => npm(5), aws3: aws, aws5 }
const { levels, end } = await kinds[kind]()
await round('first', levels)
console.log('ready')
for await (const _ of createInterface({ input: process.stdin })) {
  await round('second', levels.filter(qos => qos > 0))
  console.log('again')
  break
}
await end()
process.exit(0)
