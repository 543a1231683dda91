package embedded

import (
	"strings"
	"testing"

	"github.com/redis/rueidis"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNodesAnswerWhatALockSends(t *testing.T) {
	c := dial(t, start(t, 1).Addrs()[0])
	for _, step := range []struct {
		args  []string
		reply any
	}{
		{[]string{"PING"}, "PONG"},
		{[]string{"SET", "k", "token", "NX", "PX", "30000"}, "OK"},
		{[]string{"SET", "k", "other", "NX", "PX", "30000"}, nil},
		{[]string{"SET", "k", "other", "NX", "GET", "PX", "30000"}, "token"},
		{[]string{"GET", "k"}, "token"},
		{[]string{"PEXPIRE", "k", "60000"}, int64(1)},
		{[]string{"PEXPIRE", "missing", "60000"}, int64(0)},
		{[]string{"PTTL", "missing"}, int64(-2)},
		{[]string{"DELEX", "k", "IFEQ", "other"}, int64(0)},
		{[]string{"DELEX", "k", "IFEQ", "token"}, int64(1)},
		{[]string{"DEL", "k"}, int64(0)},
	} {
		assert.Equal(t, step.reply, do(t, c, step.args...), "%q", step.args)
	}
}

func TestNodesRunALocksScripts(t *testing.T) {
	c := dial(t, start(t, 1).Addrs()[0])
	const acquire = `
		if redis.call("GET", KEYS[1]) then return {0, redis.call("PTTL", KEYS[1])} end
		if not redis.call("SET", KEYS[1], ARGV[1], "NX", "PX", ARGV[2]) then return {-1} end
		redis.call("PEXPIRE", KEYS[1], ARGV[2])
		return {1}`
	const release = `
		if redis.call("GET", KEYS[1]) == ARGV[1] then return redis.call("DEL", KEYS[1]) end
		return 0`

	assert.Equal(t, []any{int64(1)}, do(t, c, "EVAL", acquire, "1", "k", "token", "30000"))
	assert.EqualValues(t, 0, do(t, c, "EVAL", acquire, "1", "k", "other", "30000").([]any)[0])
	assert.EqualValues(t, 0, do(t, c, "EVAL", release, "1", "k", "other"))

	assert.ErrorContains(t, doErr(t.Context(), c, "EVALSHA", strings.Repeat("0", 40), "1", "k", "token"), "NOSCRIPT")
	sha := do(t, c, "SCRIPT", "LOAD", release).(string)
	assert.EqualValues(t, 1, do(t, c, "EVALSHA", sha, "1", "k", "token"))
}

func TestPipelinedCommandsKeepTheirOrder(t *testing.T) {
	c := dial(t, start(t, 1).Addrs()[0])
	var batch []rueidis.Completed
	for range 100 {
		batch = append(batch,
			c.B().Set().Key("k").Value("token").Nx().PxMilliseconds(30000).Build(),
			c.B().Del().Key("k").Build())
	}
	for _, reply := range c.DoMulti(t.Context(), batch...) {
		require.NoError(t, reply.Error())
	}
}

// A client that was given no hint asks for the cluster's slots first.
func TestClientsFindASingleServerByThemselves(t *testing.T) {
	c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: start(t, 1).Addrs(), DisableCache: true})
	require.NoError(t, err)
	defer c.Close()
	assert.Equal(t, "OK", do(t, c, "SET", "k", "v"))
}

func TestEachNodeIsAMasterOfItsOwn(t *testing.T) {
	ids := map[string]bool{}
	for _, addr := range start(t, 5).Addrs() {
		c := dial(t, addr)
		info := fields(do(t, c, "INFO", "server", "replication").(string))
		assert.Regexp(t, "^[0-9a-f]{40}$", info["run_id"])
		assert.Equal(t, "master", info["role"])
		assert.Equal(t, []any{"master", int64(0), []any{}}, do(t, c, "ROLE"))
		ids[info["run_id"]] = true
	}
	assert.Len(t, ids, 5, "nodes share a run id")
}

func TestRunIDIsNewAfterARestartAndTheSameUntilThen(t *testing.T) {
	cluster := start(t, 1)
	runID := func() string {
		return fields(do(t, dial(t, cluster.Addrs()[0]), "INFO", "server").(string))["run_id"]
	}
	first := runID()
	assert.Equal(t, first, runID())

	require.NoError(t, cluster.Stop(0))
	require.NoError(t, cluster.Start(0))

	assert.NotEqual(t, first, runID())
}

func TestInfoHasTheSectionsAskedFor(t *testing.T) {
	c := dial(t, start(t, 1).Addrs()[0])
	for name, tc := range map[string]struct {
		args                []string
		server, replication bool
	}{
		"nothing named": {[]string{"INFO"}, true, true},
		"default":       {[]string{"INFO", "default"}, true, true},
		"everything":    {[]string{"info", "EVERYTHING"}, true, true},
		"one":           {[]string{"INFO", "Server"}, true, false},
		"the other":     {[]string{"INFO", "replication"}, false, true},
		"both":          {[]string{"INFO", "replication", "server"}, true, true},
		"unknown":       {[]string{"INFO", "persistence"}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			info := fields(do(t, c, tc.args...).(string))
			_, server := info["run_id"]
			_, replication := info["role"]
			assert.Equal(t, tc.server, server)
			assert.Equal(t, tc.replication, replication)
		})
	}
}

func TestInfoAndHelloGiveTheSameVersion(t *testing.T) {
	c := dial(t, start(t, 1).Addrs()[0])
	assert.Equal(t,
		do(t, c, "HELLO", "3").(map[string]any)["version"],
		fields(do(t, c, "INFO", "server").(string))["redis_version"])
}

func fields(info string) map[string]string {
	m := map[string]string{}
	for line := range strings.SplitSeq(info, "\r\n") {
		if name, value, ok := strings.Cut(line, ":"); ok {
			m[name] = value
		}
	}
	return m
}
