// An ASP.NET Core service with a gibibyte of memory that answers each request with a line. Prints its port when it is ready.
using System;
using System.Linq;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

var memory = Enumerable.Range(0, 4096).Select(at => new byte[1 << 18]).ToArray();
foreach (var piece in memory) Random.Shared.NextBytes(piece);

var builder = WebApplication.CreateBuilder(args);
builder.Logging.ClearProviders();
builder.WebHost.UseUrls("http://127.0.0.1:0");
var service = builder.Build();
service.Run(context => {
    memory[Random.Shared.Next(4096)][0]++;
    context.Response.ContentLength = 5;
    return context.Response.WriteAsync("done\n");
});
await service.StartAsync();
Console.WriteLine(new Uri(service.Urls.First()).Port);
await service.WaitForShutdownAsync();
