package integration

import (
	"context"
	"net"
	"net/url"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// A pooler stands before Postgres and gives each transaction a server that is free, as
// pgbouncer does with pool_mode = transaction.
type pooler struct {
	*testing.T
	to       string
	listener net.Listener
	mu       sync.Mutex
	free     []*pgconn.HijackedConn
	parts    sync.WaitGroup
}

// pool returns the URL of a pooler before a database.
func pool(t *testing.T, to string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	p := &pooler{T: t, to: to, listener: listener}
	p.parts.Go(p.serve)
	t.Cleanup(func() {
		_ = listener.Close()
		p.parts.Wait()
		for _, server := range p.free {
			_ = server.Conn.Close()
		}
	})
	config, err := pgconn.ParseConfig(to)
	check(t, err)
	at := url.URL{Scheme: "postgres", User: url.User(config.User), Host: listener.Addr().String(), Path: "/" + config.Database, RawQuery: "sslmode=disable"}
	return at.String()
}

func (p *pooler) serve() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.parts.Go(func() {
			defer conn.Close()
			p.client(pgproto3.NewBackend(conn, conn))
		})
	}
}

// client greets one, and has each of its transactions done by whoever is free.
func (p *pooler) client(client *pgproto3.Backend) {
	if _, err := client.ReceiveStartupMessage(); err != nil {
		return
	}
	client.Send(&pgproto3.AuthenticationOk{})
	for name, value := range map[string]string{"server_version": "15.0", "client_encoding": "UTF8", "standard_conforming_strings": "on"} {
		client.Send(&pgproto3.ParameterStatus{Name: name, Value: value})
	}
	client.Send(&pgproto3.BackendKeyData{ProcessID: 4_000_000, SecretKey: []byte{0, 0, 0, 1}})
	client.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	if client.Flush() != nil {
		return
	}
	var server *pgconn.HijackedConn
	defer func() { p.give(server) }()
	for {
		message, err := client.Receive()
		if err != nil {
			return
		}
		if _, ends := message.(*pgproto3.Terminate); ends {
			return
		}
		if server == nil {
			if server = p.take(); server == nil {
				return
			}
		}
		server.Frontend.Send(message)
		if server.Frontend.Flush() != nil {
			return
		}
		switch message.(type) {
		case *pgproto3.Query, *pgproto3.Sync:
			status, ok := relay(client, server.Frontend)
			if !ok {
				return
			}
			if status == 'I' {
				p.give(server)
				server = nil
			}
		}
	}
}

// relay passes on what a server says until it is ready.
func relay(client *pgproto3.Backend, server *pgproto3.Frontend) (status byte, ok bool) {
	for {
		message, err := server.Receive()
		if err != nil {
			return 0, false
		}
		client.Send(message)
		if ready, is := message.(*pgproto3.ReadyForQuery); is {
			return ready.TxStatus, client.Flush() == nil
		}
	}
}

func (p *pooler) take() *pgconn.HijackedConn {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.free); n > 0 {
		server := p.free[n-1]
		p.free = p.free[:n-1]
		return server
	}
	conn, err := pgconn.Connect(context.Background(), p.to)
	if err != nil {
		p.Errorf("the pooler does not get through: %v", err)
		return nil
	}
	server, err := conn.Hijack()
	if err != nil {
		p.Errorf("the pooler does not get through: %v", err)
		return nil
	}
	return server
}

func (p *pooler) give(server *pgconn.HijackedConn) {
	if server == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free = append(p.free, server)
}
