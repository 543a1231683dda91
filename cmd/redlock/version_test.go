package main

import (
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestVersionTellsWhatGoNoted(t *testing.T) {
	built := " (" + runtime.Version() + ", " + runtime.GOOS + "/" + runtime.GOARCH + ")\n"
	for name, tc := range map[string]struct {
		info *debug.BuildInfo
		want string
	}{
		"a release":  {&debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}}, "redlock v1.2.3" + built},
		"no version": {&debug.BuildInfo{Main: debug.Module{Version: "(devel)"}}, "redlock devel" + built},
		"no info":    {nil, "redlock unknown" + built},
		"a checkout": {
			&debug.BuildInfo{Main: debug.Module{Version: "v0.0.1"}, Settings: []debug.BuildSetting{
				{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.modified", Value: "true"},
			}},
			"redlock v0.0.1" + strings.Replace(built, "(", "(revision abc, modified, ", 1),
		},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			printVersion(&out, tc.info)
			assert.Equal(t, tc.want, out.String())
		})
	}
}

func TestVersionIsPrinted(t *testing.T) {
	r := run(t, "version")
	assert.Equal(t, 0, r.code)
	assert.Regexp(t, `\Aredlock \S+ \(.*go1\..*\)\n\z`, r.stdout)
}
