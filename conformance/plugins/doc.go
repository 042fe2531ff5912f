// Package plugins holds the plugins of this repository, new projects in all four languages, and sdk/README.md to what
// they promise, with the compilers that .ci/needs installs.
//
//	TestPlugins       each folder of plugins/, and the next version in pipelines/: builds, is small, passes its tests and the guarantees
//	TestDecode        plugins that decode, in channels fed by files, HTTP and MQTT; testdata/decode
//	TestMutants       each guarantee is broken by a guest that is made for it (testdata/mutants), and says so
//	TestNew           a new project builds and passes in every language; the same sources make the same digest
//	TestMissing       without a compiler the error says what to install
//	TestReadme        the shell blocks of sdk/README.md, run as they stand
//	TestRemainingLife the error of rul on engines that it has not seen, when TIDEMILL_TURBOFAN names the data
//
// hostile/ holds modules that mean harm.
//
// Imports: ports, env, plugindev, wasm; the binary
package plugins
