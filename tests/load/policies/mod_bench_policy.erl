%% A policy as one writes it for ejabberd: who may send, how often, how much, and a word that nobody may use.
-module(mod_bench_policy).
-behaviour(gen_mod).

-export([start/2, stop/1, reload/3, depends/2, mod_options/1, mod_doc/0, filter/1]).

-include_lib("p1_xmpp/include/xmpp.hrl").

-define(ALLOWED, <<".load.test">>).
-define(MOST_PER_SECOND, 1000000).
-define(MOST_BYTES, 65536).
-define(FORBIDDEN, <<"xyzzy">>).

start(_Host, _Options) ->
    ets:new(?MODULE, [named_table, public, {write_concurrency, true}]),
    ejabberd_hooks:add(filter_packet, ?MODULE, filter, 50).

stop(_Host) ->
    ejabberd_hooks:delete(filter_packet, ?MODULE, filter, 50).

reload(_Host, _New, _Old) -> ok.
depends(_Host, _Options) -> [].
mod_options(_Host) -> [].
mod_doc() -> #{desc => <<"The policy of a measurement">>}.

filter(drop) ->
    drop;
filter(Packet) ->
    #jid{lserver = Domain} = xmpp:get_from(Packet),
    Body = body(Packet),
    case allowed(Domain) andalso has_token(Domain) andalso byte_size(Body) =< ?MOST_BYTES
        andalso binary:match(Body, ?FORBIDDEN) =:= nomatch of
        true -> Packet;
        false -> drop
    end.

body(#message{body = Body}) -> xmpp:get_text(Body);
body(_) -> <<>>.

allowed(Domain) ->
    Rest = byte_size(Domain) - byte_size(?ALLOWED),
    Rest > 0 andalso binary:part(Domain, Rest, byte_size(?ALLOWED)) =:= ?ALLOWED.

%% {Domain, Second, Count}: a new second begins at none.
has_token(Domain) ->
    Now = erlang:system_time(second),
    case ets:lookup(?MODULE, Domain) of
        [{_, Now, Count}] when Count >= ?MOST_PER_SECOND -> false;
        [{_, Now, _}] -> ets:update_counter(?MODULE, Domain, {3, 1}), true;
        _ -> ets:insert(?MODULE, {Domain, Now, 1})
    end.
